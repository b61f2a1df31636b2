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

measure_fixtures = \
	tests/fixtures/fashion-vit.logits \
	tests/fixtures/images/boot.png \
	tests/fixtures/images/cmyk.jpg \
	tests/fixtures/images/expected.txt \
	tests/fixtures/images/full-chroma.jpg \
	tests/fixtures/images/grey-alpha.png \
	tests/fixtures/images/grey.jpg \
	tests/fixtures/images/grey.png \
	tests/fixtures/images/grey1.png \
	tests/fixtures/images/grey16.png \
	tests/fixtures/images/grey2.png \
	tests/fixtures/images/grey4.png \
	tests/fixtures/images/interlaced.png \
	tests/fixtures/images/palette-clear.png \
	tests/fixtures/images/palette.png \
	tests/fixtures/images/progressive.jpg \
	tests/fixtures/images/rgb.jpg \
	tests/fixtures/images/rgb.png \
	tests/fixtures/images/rgb16.png \
	tests/fixtures/images/rgba.png \
	tests/fixtures/images/turned2.jpg \
	tests/fixtures/images/turned3.jpg \
	tests/fixtures/images/turned4.jpg \
	tests/fixtures/images/turned5.jpg \
	tests/fixtures/images/turned6.jpg \
	tests/fixtures/images/turned7.jpg \
	tests/fixtures/images/turned8.jpg \
	tests/fixtures/make_images.py \
	tests/fixtures/make_logits.py
EXTRA_DIST += $(measure_fixtures) tests/unit/fashion_logits.h

if HAVE_CHECK
measure_tests = tests/unit/test_measure
check_PROGRAMS += $(measure_tests)
TESTS += $(measure_tests)
tests_unit_test_measure_SOURCES = tests/unit/test_measure.c
tests_unit_test_measure_LDADD = $(TEST_LIBS)
endif
