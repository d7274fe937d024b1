# The targets that a person types, besides the build itself. Included by the Makefile.

# Sub-makes start afresh (pkg-config may just have been installed), quietly, on every core.
MAKEFLAGS += --no-print-directory
PARALLEL   = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

ASAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
TSAN := -fsanitize=thread -fno-omit-frame-pointer
# abort_on_error: a finding is a crash in the eyes of whoever started the program
export ASAN_OPTIONS  ?= abort_on_error=1:detect_leaks=1:strict_string_checks=1
export UBSAN_OPTIONS ?= print_stacktrace=1
export LSAN_OPTIONS  ?= suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0
export TSAN_OPTIONS  ?= suppressions=$(CURDIR)/tests/tsan.supp:halt_on_error=1:second_deadlock_stack=1

# ---- the README's two commands --------------------------------------------------------------
.PHONY: demo check check-run check-long check-long-run
demo: ## install what is missing, build, send real traffic through every channel
	@packaging/install-deps build demo
	@$(MAKE) $(PARALLEL) all
	@OUT=$(OUT) tests/demo/run

check: ## install what is missing, build, run the tests (T=name for some), under 15 minutes
	@packaging/install-deps build check
	@$(MAKE) $(PARALLEL) ERR=1 all tests fuzzers
	@$(MAKE) check-run

check-long: ## what takes longer: kills, power cuts, fuzzing, packages, TSan of the whole
	@packaging/install-deps build check bench deb
	@$(MAKE) $(PARALLEL) all tests fuzzers
	@$(MAKE) check-long-run

check-run:
	@OUT=$(OUT) tests/run-check tests/check.d "$(T)"
check-long-run:
	@OUT=$(OUT) tests/run-check tests/long.d "$(T)"

# ---- the same rules with other flags ----------------------------------------------------------
.PHONY: asan tsan fuzz cov
asan: ## every test under AddressSanitizer and UBSan, in build-asan/
	@$(MAKE) $(PARALLEL) OUT=build-asan SAN="$(ASAN)" CFLAGS="-O1 -g1" all tests fuzzers
	@OUT=build-asan FLAVOUR=asan tests/run-check tests/check.d "$(T)"

# A newer kernel places memory where gcc 12's TSan has its shadow: hence no randomisation.
tsan: ## every test under ThreadSanitizer, in build-tsan/
	+@$(TSAN_BUILD) all tests fuzzers
	@OUT=build-tsan FLAVOUR=tsan setarch -R tests/run-check tests/check.d "$(T)"

FUZZ_SECONDS ?= 60
fuzz: ## fuzz each parser in turn: FUZZ_SECONDS=60 each, T=name for one, MERGE=1 keeps what was found
	+@$(FUZZ_BUILD) fuzzers
	@MERGE=$(MERGE) tests/fuzz/run build-fuzz $(FUZZ_SECONDS) $(T)

# What the shares within make check are built with.
.PHONY: clang-build tsan-build
TSAN_BUILD = $(MAKE) $(PARALLEL) OUT=build-tsan SAN="$(TSAN)" CFLAGS="-O1 -g1"
# clang objects to NULL + 0, which C has come to define (N3322); it does not say as gcc does that it
# sanitizes.
FUZZ_SAN = $(ASAN) -fno-sanitize=pointer-overflow -fsanitize=fuzzer-no-link -D__SANITIZE_ADDRESS__
FUZZ_BUILD = $(MAKE) $(PARALLEL) OUT=build-fuzz CC=clang FUZZ=1 CFLAGS="-O1 -g1" SAN="$(FUZZ_SAN)"
# clang takes five times as long for -O1 with these.
clang-build:
	+@$(MAKE) $(PARALLEL) OUT=build-clang CC=clang FUZZ=1 CFLAGS="-O0 -g1" SAN="$(FUZZ_SAN)" all tests fuzzers
tsan-build:
	+@$(TSAN_BUILD) $(foreach w,$(WANT),$(filter build-tsan/tests/$w%,$(TESTS:$(OUT)/%=build-tsan/%)))

cov: ## line coverage of the unit tests and corpora, per file
	@$(MAKE) $(PARALLEL) OUT=build-cov SAN="--coverage" CFLAGS="-O0 -g" tests fuzzers
	@find build-cov -name '*.gcda' -delete
	@OUT=build-cov FLAVOUR=plain tests/run-check tests/check.d '1[02]-' | grep -E 'FAIL|failed'
	@tests/dev/coverage build-cov

.PHONY: bench
bench: ## messages per second and CPU per message, beside Kannel and Postfix
	@packaging/install-deps build check bench
	@$(MAKE) $(PARALLEL) all
	@OUT=$(OUT) tests/bench/run

# ---- the tree itself ----------------------------------------------------------------------------
.PHONY: lint format range compile_commands.json
lint: ## form, layers, banned calls, documents complete
	@OUT=$(OUT) tests/lint/run

format: ## clang-format every C file in place
	@find gateway protocols plugins tests -name '*.[ch]' | xargs clang-format-14 -i

compile_commands.json: ## for clangd and clang-tidy
	@$(MAKE) --no-print-directory -Bn V=1 OUT=$(OUT) all tests fuzzers $(LIB) | tests/dev/compile-commands > $@

range: ## build, lint and unit-test every commit of RANGE=a..b
	@tests/dev/range "$(RANGE)"

# ---- getting it out ----------------------------------------------------------------------------
SYSCONFDIR ?= /etc
UNITDIR    ?= $(PREFIX)/lib/systemd/system
MAN_OUT    := $(OUT)/man
MAN        := postern.8 postern.conf.5 postern-offers.5 postern-offers.conf.5 postern-http.7 posternctl.1 posternsim.1
MAN        := $(filter $(notdir $(patsubst %.in,%,$(wildcard packaging/man/*))),$(MAN))

.PHONY: man install deb
man: $(addprefix $(MAN_OUT)/,$(MAN))
$(MAN_OUT)/%: packaging/man/%
	@mkdir -p $(@D) && cp $< $@
# The rows of postern.conf(5) and of a plugin's .conf(5) are those that the daemon reads them by.
$(MAN_OUT)/%: packaging/man/%.in $(OUT)/postern
	@mkdir -p $(@D)
	@$(OUT)/postern -t --man-rows$(patsubst postern-%.conf.5,=%,$(filter postern-%,$(@F))) > $@.rows
	@sed -e '/^@ROWS@$$/{r $@.rows' -e 'd}' $< > $@ && rm $@.rows

# An existing configuration is the operator's: it is never written over.
install: all man ## into DESTDIR, below PREFIX (/usr); the configuration into SYSCONFDIR (/etc)
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(SYSCONFDIR)/postern \
		$(DESTDIR)$(UNITDIR) $(DESTDIR)$(PREFIX)/share/doc/postern/examples
	install -m 755 $(OUT)/postern $(DESTDIR)$(PREFIX)/sbin/
	install -m 755 $(OUT)/posternctl $(OUT)/posternsim $(DESTDIR)$(PREFIX)/bin/
	for page in $(MAN); do \
		install -D -m 644 $(MAN_OUT)/$$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$$page || exit 1; \
	done
	test -e $(DESTDIR)$(SYSCONFDIR)/postern/postern.conf || \
		install -m 640 conf/postern.conf $(DESTDIR)$(SYSCONFDIR)/postern/
	sed 's|/usr/sbin|$(PREFIX)/sbin|; s|/etc/postern|$(SYSCONFDIR)/postern|g' packaging/debian/postern.service \
		> $(DESTDIR)$(UNITDIR)/postern.service
	install -m 644 conf/examples/*.conf $(DESTDIR)$(PREFIX)/share/doc/postern/examples/
	cd conf/examples && find offers -name '*.conf' -exec \
		install -D -m 644 {} $(abspath $(DESTDIR)$(PREFIX))/share/doc/postern/examples/{} \;
	install -m 644 README.md NOTICE $(DESTDIR)$(PREFIX)/share/doc/postern/
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/postern/gateway gateway/README.md gateway/road.svg
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/postern/plugins/offers plugins/offers/come-back.svg

deb: ## Debian packages postern and postern-sim, in build/deb/
	@packaging/install-deps build deb
	@packaging/build-deb

# DESIGN: why the daemon has a codec of its own. Shows it on the library that Debian ships.
.PHONY: show-smpp34-overflow
show-smpp34-overflow: ## the PDU of 151 octets that overruns Debian's libsmpp34, under ASan
	@packaging/install-deps build
	@tests/dev/show-smpp34-overflow
