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

tokenizer_fixtures = \
	tests/fixtures/tokenizers/README.md \
	tests/fixtures/tokenizers/make.py \
	tests/fixtures/tokenizers/strings.jsonl \
	tests/fixtures/tokenizers/train.txt \
	tests/fixtures/tokenizers/bert-cased.json tests/fixtures/tokenizers/bert-cased.expected.gz \
	tests/fixtures/tokenizers/bert-uncased.json tests/fixtures/tokenizers/bert-uncased.expected.gz \
	tests/fixtures/tokenizers/gpt2.json tests/fixtures/tokenizers/gpt2.expected.gz \
	tests/fixtures/tokenizers/llama2.json tests/fixtures/tokenizers/llama2.expected.gz \
	tests/fixtures/tokenizers/llama3.json tests/fixtures/tokenizers/llama3.expected.gz \
	tests/fixtures/tokenizers/mixed-a.json tests/fixtures/tokenizers/mixed-a.expected.gz \
	tests/fixtures/tokenizers/mixed-b.json tests/fixtures/tokenizers/mixed-b.expected.gz \
	tests/fixtures/tokenizers/qwen2.json tests/fixtures/tokenizers/qwen2.expected.gz \
	tests/fixtures/tokenizers/tok512.bin tests/fixtures/tokenizers/tok512.expected.gz \
	tests/fixtures/tokenizers/unigram.json tests/fixtures/tokenizers/unigram.expected.gz \
	tests/fixtures/tokenizers/unigram-bytes.json tests/fixtures/tokenizers/unigram-bytes.expected.gz
EXTRA_DIST += $(tokenizer_fixtures) tests/unit/tok512.h

if HAVE_CHECK
text_tests = tests/unit/test_tokenizer
check_PROGRAMS += $(text_tests)
TESTS += $(text_tests)
tests_unit_test_tokenizer_SOURCES = tests/unit/test_tokenizer.c
tests_unit_test_tokenizer_LDADD = $(TEST_LIBS)
endif
