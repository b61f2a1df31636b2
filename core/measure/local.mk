# SPDX-License-Identifier: Apache-2.0
# Images are part of what runs a model; data sets and measuring are the program's.
libcore_la_SOURCES += \
	core/measure/dataset.h \
	core/measure/image.c core/measure/image.h \
	core/measure/jpeg.c core/measure/png.c \
	core/measure/preprocess_apply.c \
	core/measure/resize.c
libhost_la_SOURCES += \
	core/measure/array.c core/measure/array.h core/measure/npy.c \
	core/measure/bench.c \
	core/measure/data_json.c core/measure/data_json.h \
	core/measure/dataset.c \
	core/measure/evaluate.c \
	core/measure/host.c \
	core/measure/image_files.c core/measure/source.h core/measure/split.c \
	core/measure/measure.h
