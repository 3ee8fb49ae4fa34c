"""What language models send, an API at a time: streams in our own words, in the shapes of each API's documentation.

`STREAMS` holds the events of an answer and the pieces of its text; `FAILURES` ends with an error; `WHOLE` is what comes
where an answer was not streamed.
"""

from typing import Any, NamedTuple

Event = Any
Events = list[Event]


class Failure(NamedTuple):
    """A stream that ends with an error: what came before it, and what the error says."""

    events: Events
    pieces: list[str]
    words: str
    status: int


def completion(*choices: dict[str, Any], **more: Any) -> Event:
    return {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [*choices], **more}


def delta(content: Any = None, *, index: int = 0, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    fields = more if content is None else {"content": content, **more}
    return {"index": index, "delta": fields, "finish_reason": finish_reason}


def responses(kind: str, **fields: Any) -> Event:
    return {"type": f"response.{kind}", "sequence_number": 1, **fields}


def block_delta(index: int, kind: str, **fields: Any) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def gemini(*parts: dict[str, Any], index: int | None = None, **more: Any) -> Event:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [*parts]}, **more}
    return {"candidates": [candidate if index is None else {**candidate, "index": index}], "modelVersion": "g"}


def cohere(**content: Any) -> Event:
    return {"type": "content-delta", "index": 0, "delta": {"message": {"content": content}}}


def chat(content: str, *, done: bool = False, **more: Any) -> Event:
    return {"model": "m", "message": {"role": "assistant", "content": content, **more}, "done": done}


def token(text: str, *, special: bool = False, generated_text: str | None = None) -> Event:
    token = {"id": 7, "text": text, "logprob": -0.1, "special": special}
    return {"index": 1, "token": token, "generated_text": generated_text, "details": None}


STREAMS: dict[str, tuple[Events, list[str]]] = {
    # https://fal.ai/models/fal-ai/any-llm/api and https://fal.ai/models/openrouter/router/llms.txt
    "fal": (
        [
            {"output": "Two", "reasoning": None, "partial": True, "error": None},
            {"output": "Two geese", "reasoning": None, "partial": True, "error": None},
            {"output": "Two geese", "partial": False, "error": None, "usage": {"total_tokens": 9, "cost": 0.01}},
        ],
        ["Two", " geese"],
    ),
    # https://platform.openai.com/docs/api-reference/chat-streaming
    "OpenAI chat completions": (
        [
            completion(delta("", role="assistant", refusal=None)),
            completion(delta("Two", logprobs=None)),
            completion(delta(" geese")),
            completion(delta(finish_reason="stop")),
            completion(usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}),
        ],
        ["Two", " geese"],
    ),
    "OpenAI completions, the older ones": (
        [
            {"object": "text_completion", "choices": [{"text": "Two", "index": 0, "finish_reason": None}]},
            {"object": "text_completion", "choices": [{"text": " geese", "index": 0, "finish_reason": None}]},
            {"object": "text_completion", "choices": [{"text": "", "index": 0, "finish_reason": "stop"}]},
        ],
        ["Two", " geese"],
    ),
    "OpenAI chat completions, a tool called after some text": (
        [
            completion(delta("Let me look.", role="assistant")),
            completion(delta(tool_calls=[{"index": 0, "id": "t", "function": {"name": "look", "arguments": ""}}])),
            completion(delta(tool_calls=[{"index": 0, "function": {"arguments": '{"at":"geese"}'}}])),
            completion(delta(finish_reason="tool_calls")),
        ],
        ["Let me look."],
    ),
    # https://openrouter.ai/docs/use-cases/reasoning-tokens
    "OpenRouter, with reasoning": (
        [
            completion(delta("", reasoning="Which birds?", reasoning_details=[{"text": "Which birds?"}])),
            completion(delta("Two", reasoning=None)),
            completion(delta(" geese", finish_reason="stop")),
        ],
        ["Two", " geese"],
    ),
    # https://platform.openai.com/docs/api-reference/responses-streaming
    "OpenAI Responses": (
        [
            responses("created", response={"id": "r", "status": "in_progress", "error": None, "output": []}),
            responses("output_item.added", output_index=0, item={"type": "reasoning", "summary": []}),
            responses("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="Which birds?"),
            responses("reasoning_text.delta", output_index=0, content_index=0, delta="Birds."),
            responses("output_item.added", output_index=1, item={"type": "message", "content": []}),
            responses("content_part.added", output_index=1, part={"type": "output_text", "text": ""}),
            responses("output_text.delta", output_index=1, content_index=0, item_id="i", delta="Two"),
            responses("output_text.delta", output_index=1, content_index=1, item_id="i", delta=" geese"),
            responses("output_text.annotation.added", annotation={"type": "url_citation", "title": "Geese"}),
            responses("output_text.done", output_index=1, content_index=0, text="Two geese"),
            responses("content_part.done", part={"type": "output_text", "text": "Two geese"}),
            responses("function_call_arguments.delta", output_index=2, delta='{"at":'),
            responses("output_item.done", item={"content": [{"type": "output_text", "text": "Two geese"}]}),
            responses("output_text.delta", output_index=3, content_index=0, item_id="j", delta=" fly."),
            responses("completed", response={"status": "completed", "error": None, "output": []}),
        ],
        ["Two", " geese", " fly."],
    ),
    # https://platform.openai.com/docs/api-reference/realtime-server-events
    "OpenAI Realtime": (
        [
            {"type": "session.created", "event_id": "e", "session": {"model": "m"}},
            {"type": "conversation.item.created", "item": {"role": "user", "content": [{"text": "Which birds?"}]}},
            responses("created", response={"status": "in_progress"}),
            responses("text.delta", response_id="r", delta="Two"),
            responses("text.delta", response_id="r", delta=" geese"),
            responses("text.done", response_id="r", text="Two geese"),
            responses("done", response={"status": "completed", "status_details": None}),
            {"type": "rate_limits.updated", "rate_limits": []},
            {"type": "input_audio_buffer.speech_started", "item_id": "i"},
            {"type": "output_audio_buffer.stopped", "response_id": "r"},
        ],
        ["Two", " geese"],
    ),
    # https://docs.anthropic.com/en/docs/build-with-claude/streaming
    "Anthropic": (
        [
            {"type": "message_start", "message": {"type": "message", "role": "assistant", "content": []}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
            {"type": "ping"},
            block_delta(0, "thinking_delta", thinking="Which birds?"),
            block_delta(0, "signature_delta", signature="c2ln"),
            {"type": "content_block_stop", "index": 0},
            {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
            block_delta(1, "text_delta", text="Two"),
            block_delta(1, "text_delta", text=" geese"),
            block_delta(1, "citations_delta", citation={"cited_text": "Geese fly in pairs."}),
            {"type": "content_block_stop", "index": 1},
            {"type": "content_block_start", "index": 2, "content_block": {"type": "compaction", "content": ""}},
            block_delta(2, "compaction_delta", content="Earlier the user asked which birds these are."),
            {"type": "content_block_stop", "index": 2},
            {"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "name": "look"}},
            block_delta(3, "input_json_delta", partial_json='{"at": "geese"}'),
            {"type": "content_block_stop", "index": 3},
            {"type": "content_block_start", "index": 4, "content_block": {"type": "text", "text": " f"}},
            block_delta(4, "text_delta", text="ly."),
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        ],
        ["Two", " geese", " f", "ly."],
    ),
    # https://ai.google.dev/api/generate-content (an index of 0 is often left out)
    "Gemini": (
        [
            gemini({"text": "Which birds?", "thought": True}),
            gemini({"text": "Two"}, {"text": " ge"}),
            gemini({"text": "ese"}, {"functionCall": {"name": "look", "args": {}}}),
            gemini(finishReason="STOP") | {"usageMetadata": {"totalTokenCount": 9}},
            {"usageMetadata": {"totalTokenCount": 9}},
        ],
        ["Two ge", "ese"],
    ),
    # https://docs.mistral.ai/capabilities/reasoning
    "Mistral, content in parts": (
        [
            completion(delta([{"type": "thinking", "thinking": [{"type": "text", "text": "Which birds?"}]}])),
            completion(delta([{"type": "text", "text": "Two"}])),
            completion(delta([{"type": "reference", "reference_ids": [1]}, {"type": "text", "text": " geese"}])),
            completion(delta(".", finish_reason="stop")),
        ],
        ["Two", " geese", "."],
    ),
    # https://docs.cohere.com/docs/streaming and https://docs.cohere.com/docs/tool-use-streaming
    "Cohere": (
        [
            {"type": "message-start", "id": "m", "delta": {"message": {"role": "assistant", "content": []}}},
            {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I look at the birds."}}},
            {"type": "tool-call-delta", "delta": {"message": {"tool_calls": {"function": {"arguments": "{"}}}}},
            {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": "T"}}}},
            cohere(thinking="Which birds?"),
            cohere(text="wo"),
            cohere(text=" geese"),
            {"type": "citation-start", "delta": {"message": {"citations": {"start": 4, "end": 9, "text": "geese"}}}},
            {"type": "citation-end", "index": 0},
            {"type": "content-end", "index": 0},
            {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {"tokens": {}}}},
        ],
        ["T", "wo", " geese"],
    ),
    # https://docs.ollama.com/api/chat
    "Ollama, chat": (
        [
            chat("", thinking="Which birds?"),
            chat("Two"),
            chat(" geese"),
            chat("", tool_calls=[{"function": {"name": "look", "arguments": {}}}]),
            chat("", done=True) | {"done_reason": "stop", "eval_count": 2},
        ],
        ["Two", " geese"],
    ),
    # https://docs.ollama.com/api/generate
    "Ollama, generate": (
        [
            {"model": "m", "response": "", "thinking": "Which birds?", "done": False},
            {"model": "m", "response": "Two", "done": False},
            {"model": "m", "response": " geese", "done": False},
            {"model": "m", "response": "", "done": True, "done_reason": "stop", "context": [1, 2]},
        ],
        ["Two", " geese"],
    ),
    # https://huggingface.co/docs/text-generation-inference/conceptual/streaming
    "Hugging Face (TGI)": (
        [token("Two"), token(" geese"), token("</s>", special=True, generated_text="Two geese")],
        ["Two", " geese"],
    ),
    # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html
    "Bedrock, as its SDKs give it": (
        [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"delta": {"reasoningContent": {"text": "Which birds?"}}, "contentBlockIndex": 0}},
            {"contentBlockStop": {"contentBlockIndex": 0}},
            {"contentBlockDelta": {"delta": {"text": "Two"}, "contentBlockIndex": 1}},
            {"contentBlockDelta": {"delta": {"text": " geese"}, "contentBlockIndex": 1}},
            {"contentBlockDelta": {"delta": {"citation": {"title": "Geese"}}, "contentBlockIndex": 1}},
            {"contentBlockStart": {"start": {"toolUse": {"name": "look"}}, "contentBlockIndex": 2}},
            {"contentBlockDelta": {"delta": {"toolUse": {"input": "{}"}}, "contentBlockIndex": 2}},
            {"messageStop": {"stopReason": "end_turn"}},
            {"metadata": {"usage": {"totalTokens": 9}, "metrics": {"latencyMs": 7}}},
        ],
        ["Two", " geese"],
    ),
    "Bedrock, as it is sent": (
        [
            {"role": "assistant", "p": "abc"},
            {"contentBlockIndex": 0, "delta": {"text": "Two"}, "p": "ab"},
            {"contentBlockIndex": 0, "delta": {"text": " geese"}, "p": "a"},
            {"contentBlockIndex": 0, "p": "abc"},
            {"stopReason": "end_turn"},
        ],
        ["Two", " geese"],
    ),
    # https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol
    "Vercel's AI SDK": (
        [
            {"type": "start", "messageId": "m"},
            {"type": "start-step"},
            {"type": "reasoning-start", "id": "0"},
            {"type": "reasoning-delta", "id": "0", "delta": "Which birds?"},
            {"type": "reasoning-end", "id": "0"},
            {"type": "tool-input-delta", "toolCallId": "t", "inputTextDelta": "{}"},
            {"type": "tool-output-available", "toolCallId": "t", "output": "geese, two of them"},
            {"type": "tool-output-error", "toolCallId": "u", "errorText": "no camera"},
            {"type": "file", "url": "https://example.com/geese.png", "mediaType": "image/png"},
            {"type": "message-metadata", "messageMetadata": {"model": "m"}},
            {"type": "source-url", "sourceId": "s", "url": "https://example.com/geese"},
            {"type": "data-weather", "data": {"text": "clear"}},
            {"type": "text-start", "id": "1"},
            {"type": "text-delta", "id": "1", "delta": "Two"},
            {"type": "text-delta", "id": "1", "delta": " geese"},
            {"type": "text-end", "id": "1"},
            {"type": "finish-step"},
            {"type": "finish"},
            {"type": "abort", "reason": "the user left"},
        ],
        ["Two", " geese"],
    ),
    # https://docs.ag-ui.com/concepts/events
    "AG-UI": (
        [
            {"type": "RUN_STARTED", "threadId": "t", "runId": "r"},
            {"type": "STEP_STARTED", "stepName": "look"},
            {"type": "REASONING_MESSAGE_CONTENT", "messageId": "m0", "delta": "Which birds?"},
            {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": '{"at":"geese"}'},
            {"type": "TOOL_CALL_RESULT", "toolCallId": "c", "content": "geese, two of them"},
            {"type": "THINKING_TEXT_MESSAGE_CONTENT", "delta": "Birds."},
            {"type": "ACTIVITY_DELTA", "messageId": "a", "patch": []},
            {"type": "SUBAGENT_STARTED", "subagentRunId": "s"},
            {"type": "MESSAGES_SNAPSHOT", "messages": [{"role": "user", "content": "Which birds?"}]},
            {"type": "STATE_DELTA", "delta": [{"op": "add", "path": "/birds", "value": "geese"}]},
            {"type": "TEXT_MESSAGE_START", "messageId": "m1", "role": "assistant"},
            {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m1", "delta": "Two"},
            {"type": "TEXT_MESSAGE_END", "messageId": "m1"},
            {"type": "TEXT_MESSAGE_CHUNK", "messageId": "m2", "role": "assistant", "delta": " geese"},
            {"type": "TEXT_MESSAGE_CHUNK"},
            {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"},
        ],
        ["Two", " geese"],
    ),
    "parts of messages, sent alone": (
        [{"type": "text", "text": "Two"}, {"type": "image"}, {"type": "text", "text": " geese"}],
        ["Two", " geese"],
    ),
    "plain strings": (["Two", "", " geese"], ["Two", " geese"]),
}


FAILURES: dict[str, Failure] = {
    "fal, at once": Failure([{"output": "", "partial": False, "error": "upstream failed"}], [], "upstream failed", 500),
    "fal, in the middle": Failure(
        [{"output": "Two", "error": None}, {"output": "Two", "partial": False, "error": "upstream failed"}],
        ["Two"],
        "upstream failed",
        500,
    ),
    "OpenAI": Failure(
        [completion(delta("Two")), {"error": {"message": "out of luck", "type": "server_error", "code": None}}],
        ["Two"],
        "out of luck",
        500,
    ),
    "OpenAI Responses, failed": Failure(
        [
            responses("output_text.delta", delta="Two"),
            responses("failed", response={"status": "failed", "error": {"code": "server_error", "message": "no luck"}}),
        ],
        ["Two"],
        "no luck",
        500,
    ),
    "OpenAI Responses, failed without a reason": Failure(
        [responses("failed", response={"status": "failed", "error": None})], [], "did not say why", 500
    ),
    "OpenAI Responses, error": Failure(
        [{"type": "error", "code": "server_error", "message": "no luck", "param": None, "sequence_number": 3}],
        [],
        "no luck",
        500,
    ),
    "OpenAI Realtime, error": Failure(
        [
            {"type": "session.created", "session": {}},
            {
                "type": "error",
                "error": {"type": "invalid_request_error", "code": "bad_event", "message": "no such item"},
            },
        ],
        [],
        "no such item",
        500,
    ),
    "OpenAI Realtime, failed": Failure(
        [
            responses("text.delta", delta="Two"),
            responses("done", response={"status": "failed", "status_details": {"error": {"message": "no luck"}}}),
        ],
        ["Two"],
        "no luck",
        500,
    ),
    # https://openrouter.ai/docs/api/reference/streaming
    "OpenRouter": Failure(
        [
            completion(delta("Two")),
            completion(delta("", finish_reason="error"), error={"code": 502, "message": "the provider hung up"}),
        ],
        ["Two"],
        "the provider hung up",
        502,
    ),
    "OpenRouter, in words for a code": Failure(
        [completion(delta("", finish_reason="error"), error={"code": "server_error", "message": "hung up"})],
        [],
        "hung up",
        500,
    ),
    "OpenRouter, in the choice": Failure(
        [completion(delta("") | {"error": {"code": 429, "message": "too many"}})], [], "too many", 429
    ),
    "OpenRouter, a choice without words": Failure(
        [completion(delta("Two")), completion(delta(" ge", finish_reason="error"))], ["Two"], "did not say why", 500
    ),
    # https://docs.litellm.ai/docs/exception_mapping
    "LiteLLM": Failure([{"error": {"message": "slow down", "type": "None", "code": "429"}}], [], "slow down", 429),
    # https://github.com/vllm-project/vllm, entrypoints/openai
    "vLLM": Failure(
        [{"object": "error", "message": "too long", "type": "BadRequest", "code": 400}], [], "too long", 400
    ),
    "Anthropic": Failure(
        [
            block_delta(0, "text_delta", text="Two"),
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        ],
        ["Two"],
        "Overloaded",
        500,
    ),
    "Gemini": Failure(
        [gemini({"text": "Two"}), {"error": {"code": 503, "message": "high demand", "status": "UNAVAILABLE"}}],
        ["Two"],
        "high demand",
        503,
    ),
    "Gemini, a prompt that it does not take": Failure(
        [{"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"totalTokenCount": 3}}],
        [],
        "blocked: PROHIBITED_CONTENT",
        500,
    ),
    "Cohere": Failure(
        [cohere(text="Two"), {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "no luck"}}],
        ["Two"],
        "no luck",
        500,
    ),
    "Cohere, too slow": Failure(
        [cohere(text="Two"), {"type": "message-end", "delta": {"finish_reason": "TIMEOUT"}}], ["Two"], "TIMEOUT", 500
    ),
    "Ollama": Failure([chat("Two"), {"error": "the model runner stopped"}], ["Two"], "runner stopped", 500),
    "Hugging Face (TGI)": Failure(
        [token("Two"), {"error": "out of memory", "error_type": "generation"}], ["Two"], "out of memory", 500
    ),
    "Bedrock": Failure(
        [
            {"contentBlockDelta": {"delta": {"text": "Two"}, "contentBlockIndex": 0}},
            {"modelStreamErrorException": {"message": "the model broke off", "originalStatusCode": 500}},
        ],
        ["Two"],
        "broke off",
        424,
    ),
    **{
        f"Bedrock, {name}": Failure([{name: {"message": "no luck"}}], [], "no luck", status)
        for name, status in {
            "validationException": 400,
            "modelTimeoutException": 408,
            "throttlingException": 429,
            "internalServerException": 500,
            "serviceUnavailableException": 503,
        }.items()
    },
    "a status beside the error": Failure([{"error": "busy", "status": 503}], [], "busy", 503),
    "Vercel's AI SDK": Failure(
        [
            {"type": "start"},
            {"type": "text-delta", "id": "1", "delta": "Two"},
            {"type": "error", "errorText": "no luck"},
        ],
        ["Two"],
        "no luck",
        500,
    ),
    "AG-UI": Failure(
        [
            {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "Two"},
            {"type": "RUN_ERROR", "message": "no luck", "code": "AGENT"},
        ],
        ["Two"],
        "no luck",
        500,
    ),
    "a flag and a message": Failure([{"error": True, "message": "no luck"}], [], "no luck", 500),
    "an input that does not fit": Failure([{"error": {"message": "too long", "status": 422}}], [], "too long", 422),
}


def _message(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


WHOLE: dict[str, tuple[Event, str]] = {
    "fal": ({"output": "Two geese", "partial": False, "error": None}, "Two geese"),
    "OpenAI chat completions": (
        {
            "object": "chat.completion",
            "choices": [{"index": 0, "message": _message("Two geese"), "finish_reason": "stop"}],
        },
        "Two geese",
    ),
    "Mistral, content in parts": (
        {
            "choices": [
                {"index": 0, "message": _message([{"type": "text", "text": "Two"}, {"type": "text", "text": "!"}])}
            ]
        },
        "Two!",
    ),
    "OpenAI completions, the older ones": ({"choices": [{"text": "Two geese", "index": 0}]}, "Two geese"),
    "OpenAI Responses": (
        {
            "object": "response",
            "error": None,
            "output": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Which birds?"}]},
                {"type": "message", "content": [{"type": "output_text", "text": "Two"}, {"type": "refusal"}]},
                {"type": "message", "content": [{"type": "output_text", "text": " geese"}]},
            ],
        },
        "Two geese",
    ),
    "Anthropic": (
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Which birds?"}, {"type": "text", "text": "Two geese"}],
        },
        "Two geese",
    ),
    "Gemini": (gemini({"text": "Which?", "thought": True}, {"text": "Two geese"}, finishReason="STOP"), "Two geese"),
    "Gemini, a list of events": ([gemini({"text": "Two"}), gemini({"text": " geese"})], "Two geese"),
    "Cohere": ({"id": "m", "message": _message([{"type": "text", "text": "Two geese"}])}, "Two geese"),
    "Ollama, chat": (chat("Two geese", done=True), "Two geese"),
    "Ollama, generate": ({"model": "m", "response": "Two geese", "done": True}, "Two geese"),
    "Hugging Face (TGI)": ({"generated_text": "Two geese", "details": {"finish_reason": "eos_token"}}, "Two geese"),
    # https://huggingface.co/docs/inference-providers/tasks/text-generation
    "Hugging Face, its tasks": ([{"generated_text": "Two geese"}], "Two geese"),
    "Bedrock": (
        {"output": {"message": _message([{"text": "Two geese"}])}, "stopReason": "end_turn", "usage": {}},
        "Two geese",
    ),
}
