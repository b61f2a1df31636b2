# SPDX-License-Identifier: Apache-2.0
libcore_la_SOURCES += \
	core/model/blob.c core/model/blob.h \
	core/model/encoding.c core/model/encoding.h \
	core/model/graph.c core/model/graph_change.c core/model/graph.h \
	core/model/half.h \
	core/model/unit.h \
	core/model/weight.c core/model/weight.h \
	core/model/weight_file.c core/model/weight_ggml.c \
	core/model/weight_make.c core/model/weight_parts.h
libcore_la_SOURCES += \
	core/model/ggml.c core/model/ggml.h core/model/ggml_parts.h \
	core/model/ggml_encode.c core/model/ggml_search.c \
	core/model/gguf.c core/model/gguf.h \
	core/model/gguf_parts.h core/model/gguf_value.c \
	core/model/gguf_write.c
libcore_la_SOURCES += \
	core/model/config_gguf.c core/model/config_gguf.h \
	core/model/export_gguf.c \
	core/model/export_tokenizer.c core/model/export_tokenizer.h \
	core/model/family_bert.c core/model/family_gpt2.c \
	core/model/family_llama.c \
	core/model/family_parts.c core/model/family_parts.h \
	core/model/family_text.c core/model/family_text.h \
	core/model/family_vit.c core/model/family_write.c \
	core/model/model.c core/model/model.h \
	core/model/model_open.c core/model/model_write.c \
	core/model/native.c core/model/native.h \
	core/model/prefix.c core/model/prefix.h \
	core/model/preprocess.c \
	core/model/rope.c core/model/rope.h \
	core/model/safetensors.c core/model/safetensors.h
libcore_la_SOURCES += \
	core/model/branch.c core/model/branch.h \
	core/model/factorize.c \
	core/model/surgery.c \
	core/model/unit.c
