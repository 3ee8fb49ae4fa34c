// @fal-ai/client on one stream, by listener or by its async iterator. Prints the best pass: {"seconds", "cpu", "events"}.
//
// node throughput.mjs URL listener|iterator PASSES
import { createFalClient } from '@fal-ai/client'

const [url, way, passes] = process.argv.slice(2)
const fal = createFalClient({ credentials: 'a-key-for-benchmarks', suppressLocalCredentialsWarning: true })

async function pass() {
  let events = 0
  const cpu = process.cpuUsage()
  const begin = process.hrtime.bigint()
  const stream = await fal.stream('owner/app', { url, input: {} })
  if (way === 'listener') {
    stream.on('data', () => {
      events += 1
    })
  } else {
    for await (const _event of stream) events += 1
  }
  await stream.done()
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9
  const { user, system } = process.cpuUsage(cpu)
  return { seconds, cpu: (user + system) / 1e6, events }
}

const best = await pass()
for (let number = 1; number < Number(passes); number++) {
  const next = await pass()
  best.seconds = Math.min(best.seconds, next.seconds)
  best.cpu = Math.min(best.cpu, next.cpu)
  best.events = Math.min(best.events, next.events)
}
console.log(JSON.stringify(best))
