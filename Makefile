# Postern: the whole build. One non-recursive Makefile; objects live under $(OUT), so that the
# sanitizer, fuzz and coverage builds are the same rules with another OUT and other flags.
# `make help` lists the targets; V=1 shows commands, ERR=1 makes warnings errors.

SHELL   := /bin/bash
OUT     ?= build
# As the dependencies name it, which were written by an earlier run: a path from outside may be absolute.
override OUT := $(patsubst $(CURDIR)/%,%,$(abspath $(OUT)))
CC      ?= gcc
PREFIX  ?= /usr
DESTDIR ?=
CFLAGS  ?= -O2 -g
VERSION := 0.1.0

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-5s %s\n'
endif

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual \
        -Wwrite-strings -Wvla -Wformat=2 -Wundef -Wno-unused-parameter \
        -Wno-missing-field-initializers -Wno-gnu-variable-sized-type-not-at-end
ifeq ($(ERR),1)
WARN += -Werror
endif

# A bare machine has no pkg-config yet: `make demo` and `make check` install first and start again.
PKGS     := libevent libevent_pthreads libconfig openssl libnghttp2 sqlite3 libmicrohttpd libcurl jansson libsystemd \
            gmime-3.0 libidn2 opendkim libunbound
PKG      := $(shell command -v pkg-config 2>/dev/null)
ifneq ($(PKG),)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
endif

ALL_CFLAGS := -std=gnu17 -I. -D_GNU_SOURCE -DPOSTERN_VERSION='"$(VERSION)"' $(WARN) -fno-common \
              -fstack-protector-strong $(PKG_CFLAGS) $(CFLAGS) $(SAN)
HARDEN     := -Wl,-z,relro,-z,now
# Two hundred tests and fuzzers are linked in each of three builds; lld takes a third of the time.
FAST_LINK  := $(if $(shell command -v ld.lld),-fuse-ld=lld)
# A third less CPU for an event, which is many small pieces on several threads; the sanitizers have
# allocators of their own.
MALLOC     := $(if $(SAN),,-ljemalloc)
# libtsan has a crypt() of its own in front of the real one, which --as-needed takes for enough.
ALL_LIBS   := -Wl,--as-needed $(PKG_LIBS) -Wl,--no-as-needed -lcrypt -lm -lpthread

# ---- what is built from what --------------------------------------------------------------
LIB_SRC  := $(filter-out %_test.c gateway/main.c gateway/control/ctl.c,$(wildcard gateway/*/*.c gateway/*.c))
LIB_SRC  += $(filter-out %_test.c,$(wildcard protocols/*.c protocols/*/*.c plugins/*.c plugins/*/*.c))
LIB_SRC  := $(foreach f,$(LIB_SRC),$(if $(filter fuzz_%,$(notdir $f)),,$f))
TEST_SRC := $(wildcard gateway/*/*_test.c protocols/*/*_test.c plugins/*/*_test.c tests/*/*_test.c)
FUZZ_SRC := $(wildcard gateway/*/fuzz_*.c protocols/*/fuzz_*.c plugins/*/fuzz_*.c)
SIM_SRC  := $(filter-out %_test.c,$(wildcard tests/sim/*.c))

obj       = $(patsubst %.c,$(OUT)/obj/%.o,$1)
LIB       := $(OUT)/libpostern.a
TESTS     := $(patsubst %.c,$(OUT)/tests/%,$(notdir $(TEST_SRC)))
FUZZERS   := $(patsubst %.c,$(OUT)/fuzz/%,$(notdir $(FUZZ_SRC)))
vpath %_test.c $(sort $(dir $(TEST_SRC)))
vpath fuzz_%.c $(sort $(dir $(FUZZ_SRC)))

PROGS := $(OUT)/postern $(OUT)/posternctl $(OUT)/posternsim
PROGS := $(if $(wildcard gateway/main.c),$(OUT)/postern) $(if $(wildcard gateway/control/ctl.c),$(OUT)/posternctl) $(if $(SIM_SRC),$(OUT)/posternsim)

.PHONY: all
all: $(PROGS) ## build postern, posternctl and posternsim into $(OUT)/

$(OUT)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(ALL_CFLAGS) $(CFLAGS_$(subst /,_,$(<D))) -MMD -MP -c $< -o $@

$(LIB): $(call obj,$(LIB_SRC))
	@mkdir -p $(@D)
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^

$(OUT)/postern: $(call obj,gateway/main.c) $(LIB)
	$(say) LD $@
	$(Q)$(CC) $(SAN) $(LDFLAGS) $(HARDEN) -o $@ $< -Wl,--whole-archive $(LIB) -Wl,--no-whole-archive $(MALLOC) $(ALL_LIBS)

$(OUT)/posternctl: $(call obj,gateway/control/ctl.c) $(LIB)
	$(say) LD $@
	$(Q)$(CC) $(SAN) $(LDFLAGS) $(HARDEN) -o $@ $< $(LIB) $(ALL_LIBS)

# The two foreign libraries are linked here and nowhere in the daemon (DESIGN: the other party).
$(OUT)/posternsim: $(call obj,$(SIM_SRC)) $(LIB)
	$(say) LD $@
	$(Q)$(CC) $(SAN) $(LDFLAGS) -o $@ $(call obj,$(SIM_SRC)) $(LIB) -lsmpp34 -lesmtp $(ALL_LIBS)

# ---- tests --------------------------------------------------------------------------------
# A test is one file beside what it tests; it links the whole library and cmocka.
$(OUT)/tests/%_test: %_test.c $(LIB)
	@mkdir -p $(@D)
	$(say) TEST $<
	$(Q)$(CC) $(ALL_CFLAGS) $(FAST_LINK) -MMD -MP -MF $@.d -o $@ $< $(LIB) -lcmocka $(ALL_LIBS)

# A measuring program of one file: make build/bench/store_bench
$(OUT)/bench/%: tests/bench/%.c $(LIB)
	@mkdir -p $(@D)
	$(say) BENCH $<
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(LIB) $(ALL_LIBS)

# A fuzz target has LLVMFuzzerTestOneInput; without a fuzzer it replays its corpus.
ifeq ($(FUZZ),1)
$(OUT)/fuzz/fuzz_%: fuzz_%.c $(LIB)
	@mkdir -p $(@D)
	$(say) FUZZ $<
	$(Q)$(CC) $(ALL_CFLAGS) $(FAST_LINK) -fsanitize=fuzzer -MMD -MP -MF $@.d -o $@ $< $(LIB) $(ALL_LIBS)
else
$(OUT)/fuzz/fuzz_%: fuzz_%.c tests/fuzz/replay.c $(LIB)
	@mkdir -p $(@D)
	$(say) FUZZ $<
	$(Q)$(CC) $(ALL_CFLAGS) $(FAST_LINK) -MMD -MP -MF $@.d -o $@ $< tests/fuzz/replay.c $(LIB) $(ALL_LIBS)
endif

.PHONY: tests fuzzers unit
tests: $(TESTS)
fuzzers: $(FUZZERS)
unit: $(TESTS) ## build and run the unit tests alone (T=name for one)
	@tests/run-unit $(OUT) $(T)

-include $(shell find $(OUT)/obj $(OUT)/tests $(OUT)/fuzz -name '*.d' -type f 2>/dev/null)

-include tests/conform/rules.mk

# ---- everything a person types --------------------------------------------------------------
# The rest of the targets (demo, check, lint, deb, …) in their own file, by purpose.
include tests/targets.mk

.PHONY: clean help
clean: ## remove everything that was built
	rm -rf build build-asan build-tsan build-fuzz build-clang build-cov compile_commands.json
help: ## this list
	@awk -F':.*## ' '/^[a-z0-9_.-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
