// eventsource-parser on the body in a file: bytes in, events out, as a client would use it (it takes text, so the bytes
// pass a TextDecoder). Prints the least processor time of a pass: {"seconds", "events"}.
//
// node decoder.mjs BODY CHUNK_SIZE SECONDS
import { readFileSync } from 'node:fs'
import { createParser } from 'eventsource-parser'

const [file, chunkSize, budget] = process.argv.slice(2)
const body = readFileSync(file)
const size = Number(chunkSize)
const chunks = []
for (let at = 0; at < body.length; at += size) chunks.push(body.subarray(at, at + size))

function pass() {
  let events = 0
  let characters = 0
  const decoder = new TextDecoder()
  const parser = createParser({
    onEvent(event) {
      events += 1
      characters += event.data.length
    },
  })
  const begin = process.cpuUsage()
  for (const chunk of chunks) parser.feed(decoder.decode(chunk, { stream: true }))
  const { user, system } = process.cpuUsage(begin)
  return { seconds: (user + system) / 1e6, events, characters }
}

const until = performance.now() + Number(budget) * 1000
let best = pass()
for (let passes = 1; passes < 3 || performance.now() < until; passes++) {
  const next = pass()
  if (next.seconds < best.seconds) best = next
}
console.log(JSON.stringify(best))
