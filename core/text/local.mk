# SPDX-License-Identifier: Apache-2.0
libcore_la_SOURCES += \
	core/text/added.c core/text/added.h \
	core/text/bpe.c core/text/bpe.h \
	core/text/charsmap.c core/text/charsmap.h \
	core/text/decode.c core/text/decode.h \
	core/text/gguf_pre.c core/text/gguf_pre.h \
	core/text/json_config.c \
	core/text/json_model.c \
	core/text/json_reader.c core/text/json_reader.h \
	core/text/json_steps.c \
	core/text/json_template.c \
	core/text/normalize.c core/text/normalize.h \
	core/text/pretokenize.c core/text/pretokenize.h \
	core/text/regex.c core/text/regex.h core/text/regex_translate.c \
	core/text/template.c core/text/template.h \
	core/text/tokenizer.c core/text/tokenizer.h core/text/tokenizer_parts.h \
	core/text/tokenizer_gguf.c \
	core/text/tokenizer_json.c \
	core/text/tokenizer_vocab.c \
	core/text/trie.c core/text/trie.h \
	core/text/unigram.c core/text/unigram.h \
	core/text/utf8.c core/text/utf8.h \
	core/text/vocab.c core/text/vocab.h \
	core/text/wordpiece.c core/text/wordpiece.h
