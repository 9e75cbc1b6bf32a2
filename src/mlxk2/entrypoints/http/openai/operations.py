"""What OpenAI's API can be asked here, as data for the OpenAPI document."""

from mlxk2.entrypoints.http.openai.chat.replies import ChatChunk, ChatCompletion
from mlxk2.entrypoints.http.openai.chat.wire import CreateChatCompletion
from mlxk2.entrypoints.http.openai.completions.replies import TextCompletion
from mlxk2.entrypoints.http.openai.completions.wire import CreateCompletion
from mlxk2.entrypoints.http.openai.models import ModelList, ModelReply
from mlxk2.entrypoints.http.openai.tokens import Detokenize, Detokenized, Tokenized, TokenizeEither
from mlxk2.entrypoints.http.openai.wire import ModelName
from mlxk2.entrypoints.http.operations import ANSWERING, EVENTS, Operation, Parameter, Reply

_ASKING = "OpenAI: asking a model"
_MODELS = "OpenAI: models"
_TOKENS = "Tokens"

OPERATIONS = (
    Operation(
        "post",
        "/v1/chat/completions",
        "createChatCompletion",
        _ASKING,
        "Continue a conversation, as OpenAI's Chat Completions API does",
        (
            Reply("The answer", ChatCompletion),
            Reply("With `stream`: the answer in pieces, and at last `[DONE]` or an error", ChatChunk, EVENTS),
        ),
        CreateChatCompletion,
        failures=ANSWERING,
    ),
    Operation(
        "post",
        "/v1/completions",
        "createCompletion",
        _ASKING,
        "Continue texts as they are, without a chat template",
        (
            Reply("The answers", TextCompletion),
            Reply("With `stream`: the answers in pieces, and at last `[DONE]` or an error", TextCompletion, EVENTS),
        ),
        CreateCompletion,
        failures=ANSWERING,
    ),
    Operation(
        "get",
        "/v1/models",
        "listModels",
        _MODELS,
        "List the models that can be asked",
        (Reply("The models", ModelList),),
    ),
    Operation(
        "get",
        "/v1/models/{model}",
        "retrieveModel",
        _MODELS,
        "Describe one model",
        (Reply("The model", ModelReply),),
        parameters=(Parameter("model", "As in requests; slashes may stand as they are", form=ModelName),),
        failures=(404,),
    ),
    Operation(
        "post",
        "/tokenize",
        "tokenize",
        _TOKENS,
        "Turn a text, or a conversation as the model will see it, into token ids",
        (Reply("The tokens", Tokenized),),
        TokenizeEither,
        failures=ANSWERING,
    ),
    Operation(
        "post",
        "/detokenize",
        "detokenize",
        _TOKENS,
        "Turn token ids into text",
        (Reply("The text", Detokenized),),
        Detokenize,
        failures=ANSWERING,
    ),
)
