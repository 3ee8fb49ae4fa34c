"""The shapes in which language models send their text: a function for each, and two tables to look it up in.

An event with a `type` is looked up by that, any other event by a key that only its shape has. The rows follow:

- fal: https://fal.ai/models/fal-ai/any-llm/api and https://fal.ai/models/openrouter/router/llms.txt
- OpenAI: https://platform.openai.com/docs/api-reference/chat-streaming, .../responses-streaming, .../realtime
- OpenRouter: https://openrouter.ai/docs/api/reference/streaming
- Anthropic: https://docs.anthropic.com/en/docs/build-with-claude/streaming
- Gemini: https://ai.google.dev/api/generate-content
- Mistral: https://docs.mistral.ai/capabilities/reasoning
- Cohere: https://docs.cohere.com/docs/streaming
- Ollama: https://docs.ollama.com/api/streaming
- Hugging Face (TGI): https://huggingface.co/docs/text-generation-inference/conceptual/streaming
- Bedrock: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html
- Vercel's AI SDK: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol
- AG-UI: https://docs.ag-ui.com/concepts/events
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import to_jsonable_python

from rxfal.errors import ApiError, FalError
from rxfal.wire.failures import error_from_value, status_in
from rxfal.wire.payload import is_model

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["BY_KEY", "OBJECT", "Said", "failure", "fields_of", "get_field", "shape_of_type"]

Said = str | tuple[str] | FalError | None
"""What an event says: the next piece of the text, or "" if its shape is known and has none; the whole text so far, in a
tuple; an error; or None if its shape is not known."""

# Of type Any, so that what `isinstance` finds stays Any: a cast for each look-up would cost as much as the look-up.
OBJECT: Any = dict
_SEQUENCE: Any = (list, tuple)
_PLAIN: Any = (dict, list, str)

_Shape = Callable[[Any, int], Said]
"""What an event of one shape says, of the choice with that index."""


def fields_of(model: BaseModel) -> Mapping[str, Any]:
    """The fields of a model; to find out with `getattr` that it has no such field takes two microseconds."""
    return {**model.__dict__, **extra} if (extra := model.__pydantic_extra__) else model.__dict__


def get_field(value: Any, name: str) -> Any:
    """A field of a JSON object, a model or any other object; None if it has no such field."""
    if isinstance(value, OBJECT):
        return value.get(name)
    if is_model(value):
        return fields_of(value).get(name)
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(name)
    return getattr(value, name, None)


def _text_of(content: Any) -> str:
    """The text in a message's content: a string, one part or several. Thoughts, tools and citations don't count."""
    if isinstance(content, str):
        return content
    if isinstance(content, _SEQUENCE):
        return "".join(map(_text_of, content))
    text = get_field(content, "text")
    is_text = isinstance(text, str) and get_field(content, "type") in (None, "text", "text_delta", "output_text")
    return text if is_text and not get_field(content, "thought") else ""


def failure(event: Any, said: Any, status: int = 500) -> ApiError:
    """The error for an event; `said` is the part of it that has the words."""
    event, said = _plain(event), _plain(said)
    error = error_from_value(status_in(said, event, default=status), said)
    error.body = event
    if error.error_type is None and isinstance(error_type := get_field(event, "error_type"), str):
        error.error_type = error_type
    return error


def _plain(value: Any) -> Any:
    return value if isinstance(value, _PLAIN) else to_jsonable_python(value, fallback=str)


# Shapes that more than one API has.


def _at(*path: str, default: Said = None) -> _Shape:
    """A piece of text at that place; `default` if an event has no such place."""

    def shape(event: Any, choice: int) -> Said:
        for name in path:
            event = get_field(event, name)
        return default if event is None else _text_of(event)

    return shape


def _nothing(event: Any, choice: int) -> Said:
    """A known event that has no text."""
    return ""


def _text(event: Any, choice: int) -> Said:
    """A piece at `text`: of OpenAI's older completions, or a part of a message that is sent alone."""
    text = get_field(event, "text")
    return text if isinstance(text, str) else None


def _error(event: Any, choice: int) -> Said:
    """An event that is an error as a whole."""
    return failure(event, event)


def _chosen(choices: Any, index: int) -> Any:
    """The choice with that index. One that names no index has that of its place in the list."""
    if not isinstance(choices, _SEQUENCE):
        return None
    for place, choice in enumerate(choices):
        own = get_field(choice, "index")
        if (own if isinstance(own, int) else place) == index:
            return choice
    return None


# OpenAI's chat completions, which most others offer as well.


def _completion(event: Any, choice: int) -> Said:
    choices = get_field(event, "choices")
    if (chosen := _chosen(choices, choice)) is None:
        return "" if isinstance(choices, _SEQUENCE) else None
    if get_field(chosen, "finish_reason") == "error" or get_field(chosen, "error"):  # OpenRouter's
        return failure(event, get_field(chosen, "error") or "the model stopped with an error and did not say why")
    if (delta := get_field(chosen, "delta")) is not None:
        content = get_field(delta, "content")
        return content if isinstance(content, str) else _text_of(content)
    if (message := get_field(chosen, "message")) is not None:
        whole = _text_of(get_field(message, "content"))
        return (whole,) if whole else ""
    return _text(chosen, choice)


# OpenAI's Responses and Realtime.


def _response_failed(event: Any, choice: int) -> Said:
    response = get_field(event, "response")
    error = get_field(response, "error") or get_field(get_field(response, "status_details"), "error")
    return failure(event, error or "the model failed and did not say why")


def _response_done(event: Any, choice: int) -> Said:
    return _response_failed(event, choice) if get_field(get_field(event, "response"), "status") == "failed" else ""


def _output(event: Any, choice: int) -> Said:
    """A whole answer of the Responses API, or of Bedrock."""
    output = get_field(event, "output")
    if get_field(event, "object") == "response" and isinstance(output, _SEQUENCE):
        return (_text_of([get_field(item, "content") for item in output]),)
    message = get_field(output, "message")
    return None if message is None else (_text_of(get_field(message, "content")),)


# Others.


def _anthropic_message(event: Any, choice: int) -> Said:
    content = get_field(event, "content")
    return (_text_of(content),) if isinstance(content, list) else None


def _cohere_end(event: Any, choice: int) -> Said:
    delta = get_field(event, "delta")
    reason = get_field(delta, "finish_reason")
    if (error := get_field(delta, "error")) or reason in ("ERROR", "TIMEOUT"):
        return failure(event, error or f"the model stopped with {reason}")
    return ""


def _gemini(event: Any, choice: int) -> Said:
    if reason := get_field(get_field(event, "promptFeedback"), "blockReason"):
        return failure(event, f"the prompt was blocked: {reason}")
    candidates = get_field(event, "candidates")
    if (candidate := _chosen(candidates, choice)) is None:
        return "" if candidates is None or isinstance(candidates, _SEQUENCE) else None
    content = get_field(candidate, "content")
    return _text_of(get_field(content, "parts")) if content or get_field(candidate, "finishReason") else None


def _message(event: Any, choice: int) -> Said:
    """Ollama's chat, or a whole answer of Cohere."""
    message = get_field(event, "message")
    return _text_of(get_field(message, "content")) if get_field(message, "role") else None


def _ollama_piece(event: Any, choice: int) -> Said:
    response = get_field(event, "response")
    return response if isinstance(response, str) and get_field(event, "done") is not None else None


def _token(event: Any, choice: int) -> Said:
    """TGI. Special tokens, such as the one that ends the text, are skipped, and so is the whole text at the end."""
    token = get_field(event, "token")
    text = get_field(token, "text")
    return None if not isinstance(text, str) else "" if get_field(token, "special") else text


def _generated(event: Any, choice: int) -> Said:
    text = get_field(event, "generated_text")
    return (text,) if isinstance(text, str) else None


def _object(event: Any, choice: int) -> Said:
    """The errors of vLLM and Mistral."""
    return _error(event, choice) if get_field(event, "object") == "error" else None


def _metadata(event: Any, choice: int) -> Said:
    return "" if get_field(get_field(event, "metadata"), "usage") else None


def _exception(name: str, status: int) -> _Shape:
    """An exception of Bedrock, under its name or in an event of that name; its status is in the documentation only."""
    return lambda event, choice: failure(event, get_field(event, name) or event, status)


_BEDROCK_EXCEPTIONS: dict[str, _Shape] = {
    "validationException": _exception("validationException", 400),
    "modelTimeoutException": _exception("modelTimeoutException", 408),
    "modelStreamErrorException": _exception("modelStreamErrorException", 424),
    "throttlingException": _exception("throttlingException", 429),
    "internalServerException": _exception("internalServerException", 500),
    "serviceUnavailableException": _exception("serviceUnavailableException", 503),
}

_BY_TYPE: dict[str, _Shape] = {
    # OpenAI: Responses, Realtime
    "response.output_text.delta": _at("delta"),
    "response.text.delta": _at("delta"),
    "response.failed": _response_failed,
    "response.done": _response_done,
    # Anthropic
    "content_block_delta": _at("delta"),
    "content_block_start": _at("content_block"),
    "message": _anthropic_message,
    **dict.fromkeys(("content_block_stop", "message_start", "message_delta", "message_stop", "ping"), _nothing),
    # Cohere
    "content-delta": _at("delta", "message", "content"),
    "content-start": _at("delta", "message", "content"),
    "message-end": _cohere_end,
    **dict.fromkeys(("message-start", "content-end"), _nothing),
    # Vercel's AI SDK
    "text-delta": _at("delta"),
    **dict.fromkeys(("start", "start-step", "text-start", "text-end", "finish-step", "finish", "abort"), _nothing),
    **dict.fromkeys(("file", "message-metadata"), _nothing),
    # AG-UI
    "TEXT_MESSAGE_CONTENT": _at("delta"),
    "TEXT_MESSAGE_CHUNK": _at("delta", default=""),
    "RUN_ERROR": _error,
    **dict.fromkeys(("TEXT_MESSAGE_START", "TEXT_MESSAGE_END", "MESSAGES_SNAPSHOT"), _nothing),
    # Bedrock, where the name of the event is the type
    **dict.fromkeys(("messageStart", "messageStop", "metadata"), _nothing),
    **_BEDROCK_EXCEPTIONS,
    # Anthropic, OpenAI, Vercel
    "error": _error,
    # A part of a message, sent alone
    "text": _text,
}

_WITHOUT_TEXT = (
    *(
        "response.",
        "session.",
        "conversation.",
        "input_audio_buffer.",
        "output_audio_buffer.",
        "rate_limits.",
    ),  # OpenAI
    *("tool-", "citation-"),  # Cohere
    *("tool-", "reasoning-", "source-", "data-"),  # Vercel
    *("RUN_", "STEP_", "TOOL_CALL_", "REASONING_", "THINKING_", "STATE_", "ACTIVITY_", "SUBAGENT_"),  # AG-UI
)
"""Beginnings of the types of known events that never hold text of the answer."""

BY_KEY: dict[str, _Shape] = {
    "choices": _completion,
    # Gemini
    "candidates": _gemini,
    "promptFeedback": _gemini,
    "usageMetadata": _nothing,
    # Ollama, Cohere
    "message": _message,
    "response": _ollama_piece,
    # Hugging Face
    "token": _token,
    "generated_text": _generated,
    # Bedrock: as its SDKs give it, by the name of the event; as it is sent
    "contentBlockDelta": _at("contentBlockDelta", "delta"),
    "contentBlockIndex": _at("delta", default=""),
    "metadata": _metadata,
    **dict.fromkeys(("messageStart", "contentBlockStart", "contentBlockStop", "messageStop"), _nothing),
    **_BEDROCK_EXCEPTIONS,
    # Whole answers of Responses and Bedrock; errors of vLLM and Mistral
    "output": _output,
    "object": _object,
}
"""Where an event is looked up that its type does not explain; the first row that fits counts."""


def shape_of_type(kind: str) -> _Shape | None:
    """The shape of the events of a type; None for one that is not known."""
    return _BY_TYPE.get(kind) or (_nothing if kind.startswith(_WITHOUT_TEXT) else None)
