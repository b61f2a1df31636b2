/* SPDX-License-Identifier: Apache-2.0 */
#include "text/gguf_pre.h"

#include <string.h>

#include "base/mem.h"

/* Parts that many have in common. */
#define SUFFIXES "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
#define BREAKS "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LLAMA3(word, digits)                                                                       \
    "(?:" SUFFIXES ")|[^\\r\\n\\p{L}\\p{N}]?" word "|" digits                                      \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" BREAKS
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
/* words of capitals and then small letters, where letters beyond ASCII are both */
#define CAPITAL "(?:(?![a-z])\\p{L})"
#define SMALL "(?:(?![A-Z])\\p{L})"
#define GPT4O(suffixes, digits)                                                                    \
    "[^\\r\\n\\p{L}\\p{N}]?" CAPITAL "*" SMALL "+" suffixes "|[^\\r\\n\\p{L}\\p{N}]?" CAPITAL      \
    "+" SMALL "*" suffixes "|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" BREAKS
#define DEEPSEEK                                                                                   \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?"           \
    "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" BREAKS

static const struct pare_gguf_pre plain = {
    {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}, false, false};
static const struct pare_gguf_pre llama3 = {{LLAMA3("\\p{L}+", "\\p{N}{1,3}")}, true, true};
static const struct pare_gguf_pre dbrx = {{LLAMA3("\\p{L}+", "\\p{N}{1,3}")}, false, false};
static const struct pare_gguf_pre qwen2 = {{LLAMA3("\\p{L}+", "\\p{N}")}, false, false};
static const struct pare_gguf_pre qwen35 = {{"(?:" SUFFIXES
                                             ")|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
                                             "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" BREAKS},
                                            false,
                                            false};
static const struct pare_gguf_pre gpt2 = {{GPT2}, false, false};
static const struct pare_gguf_pre starcoder = {{"\\p{N}", GPT2}, false, false};
static const struct pare_gguf_pre falcon = {
    {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"}, false, false};
static const struct pare_gguf_pre deepseek_coder = {
    {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", "\\p{N}"}, false, false};
static const struct pare_gguf_pre deepseek3 = {
    {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK}, false, false};
static const struct pare_gguf_pre tekken = {{GPT4O("", "\\p{N}")}, true, true};
static const struct pare_gguf_pre gpt4o = {
    {GPT4O("(?:" SUFFIXES ")?", "\\p{N}{1,3}")}, false, false};
static const struct pare_gguf_pre bloom = {{" ?[^(\\s|.,!?…。，、।۔،)]+"}, false, false};
static const struct pare_gguf_pre viking = {{" ?[^(\\s|.,!?…。，、।۔،)]+", "\\p{N}"}, false, false};

static const struct {
    const char *name;
    const struct pare_gguf_pre *pre;
} names[] = {
    {"default", &plain},
    {"llama3", &llama3},
    {"llama-v3", &llama3},
    {"llama-bpe", &llama3},
    {"falcon3", &llama3},
    {"falcon-h1", &llama3},
    {"pixtral", &llama3},
    {"lfm2", &llama3},
    {"dbrx", &dbrx},
    {"smaug-bpe", &dbrx},
    {"glm4", &dbrx},
    {"chatglm-bpe", &dbrx},
    {"qwen2", &qwen2},
    {"deepseek-r1-qwen", &qwen2},
    {"megrez", &qwen2},
    {"stablelm2", &qwen2},
    {"hunyuan", &qwen2},
    {"grok-2", &qwen2},
    {"qwen35", &qwen35},
    {"gpt-2", &gpt2},
    {"phi-2", &gpt2},
    {"mpt", &gpt2},
    {"olmo", &gpt2},
    {"jais", &gpt2},
    {"gigachat", &gpt2},
    {"exaone4", &gpt2},
    {"trillion", &gpt2},
    {"granite-docling", &gpt2},
    {"modern-bert", &gpt2},
    {"mellum", &gpt2},
    {"a.x-4.0", &gpt2},
    {"jina-es", &gpt2},
    {"jina-de", &gpt2},
    {"jina-v2-es", &gpt2},
    {"jina-v2-de", &gpt2},
    {"jina-v1-en", &gpt2},
    {"jina-v2-code", &gpt2},
    {"roberta-bpe", &gpt2},
    {"smollm", &starcoder},
    {"starcoder", &starcoder},
    {"refact", &starcoder},
    {"command-r", &starcoder},
    {"codeshell", &starcoder},
    {"exaone", &starcoder},
    {"minerva-7b", &starcoder},
    {"mellum2", &starcoder},
    {"falcon", &falcon},
    {"deepseek-coder", &deepseek_coder},
    {"deepseek-v3", &deepseek3},
    {"hunyuan-dense", &deepseek3},
    {"joyai-llm", &deepseek3},
    {"tekken", &tekken},
    {"gpt-4o", &gpt4o},
    {"llama4", &gpt4o},
    {"kanana2", &gpt4o},
    {"bloom", &bloom},
    {"poro-chat", &bloom},
    {"gpt3-finnish", &bloom},
    {"viking", &viking},
};

const struct pare_gguf_pre *pare_gguf_pre(const char *name)
{
    for (size_t i = 0; i < PARE_COUNT(names); i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].pre;
    return NULL;
}
