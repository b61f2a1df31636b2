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
	core/text/vocab_json.c core/text/vocab_json.h \
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
	tests/fixtures/tokenizers/t5.gguf tests/fixtures/tokenizers/t5.expected.gz \
	tests/fixtures/tokenizers/tok512.bin tests/fixtures/tokenizers/tok512.expected.gz \
	tests/fixtures/tokenizers/unigram.json tests/fixtures/tokenizers/unigram.expected.gz \
	tests/fixtures/tokenizers/unigram-bytes.json tests/fixtures/tokenizers/unigram-bytes.expected.gz
text_corpus = \
	tests/fuzz/corpus/text/00 \
	tests/fuzz/corpus/text/01 \
	tests/fuzz/corpus/text/02 \
	tests/fuzz/corpus/text/03 \
	tests/fuzz/corpus/text/04 \
	tests/fuzz/corpus/text/05 \
	tests/fuzz/corpus/text/06 \
	tests/fuzz/corpus/text/07 \
	tests/fuzz/corpus/text/08 \
	tests/fuzz/corpus/text/09 \
	tests/fuzz/corpus/text/10 \
	tests/fuzz/corpus/text/11 \
	tests/fuzz/corpus/text/12 \
	tests/fuzz/corpus/text/13 \
	tests/fuzz/corpus/text/14 \
	tests/fuzz/corpus/text/15 \
	tests/fuzz/corpus/text/16 \
	tests/fuzz/corpus/text/17 \
	tests/fuzz/corpus/text/18 \
	tests/fuzz/corpus/text/19 \
	tests/fuzz/corpus/text/20 \
	tests/fuzz/corpus/text/21 \
	tests/fuzz/corpus/text/22 \
	tests/fuzz/corpus/tokenizer/bert.json \
	tests/fuzz/corpus/tokenizer/gpt2.json \
	tests/fuzz/corpus/tokenizer/llama2.json \
	tests/fuzz/corpus/tokenizer/llama3.json \
	tests/fuzz/corpus/tokenizer/mixed-a.json \
	tests/fuzz/corpus/tokenizer/mixed-b.json \
	tests/fuzz/corpus/tokenizer/qwen2.json \
	tests/fuzz/corpus/tokenizer/split0.json \
	tests/fuzz/corpus/tokenizer/split1.json \
	tests/fuzz/corpus/tokenizer/split2.json \
	tests/fuzz/corpus/tokenizer/split3.json \
	tests/fuzz/corpus/tokenizer/unigram-bytes.json \
	tests/fuzz/corpus/tokenizer/unigram.json
EXTRA_DIST += $(tokenizer_fixtures) $(text_corpus) tests/unit/tok512.h tests/fuzz/replay.h

if HAVE_CHECK
text_tests = tests/unit/test_tokenizer tests/fuzz/replay_text tests/fuzz/replay_tokenizer
check_PROGRAMS += $(text_tests)
TESTS += $(text_tests)
tests_unit_test_tokenizer_SOURCES = tests/unit/test_tokenizer.c
tests_unit_test_tokenizer_LDADD = $(TEST_LIBS)
# The fuzz targets over their corpora, with an ordinary main.
tests_fuzz_replay_text_SOURCES = tests/fuzz/fuzz_text.c
tests_fuzz_replay_text_CPPFLAGS = $(AM_CPPFLAGS) -DPARE_REPLAY
tests_fuzz_replay_text_LDADD = $(TEST_LIBS)
tests_fuzz_replay_tokenizer_SOURCES = tests/fuzz/fuzz_tokenizer.c
tests_fuzz_replay_tokenizer_CPPFLAGS = $(AM_CPPFLAGS) -DPARE_REPLAY
tests_fuzz_replay_tokenizer_LDADD = $(TEST_LIBS)
endif

if FUZZ
noinst_PROGRAMS += tests/fuzz/fuzz_text tests/fuzz/fuzz_tokenizer
tests_fuzz_fuzz_text_SOURCES = tests/fuzz/fuzz_text.c
tests_fuzz_fuzz_text_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_text_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_text_LDADD = $(TEST_LIBS)
tests_fuzz_fuzz_tokenizer_SOURCES = tests/fuzz/fuzz_tokenizer.c
tests_fuzz_fuzz_tokenizer_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_tokenizer_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_tokenizer_LDADD = $(TEST_LIBS)
endif
