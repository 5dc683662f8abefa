# Vernier.  `make run` and `make test` install what is missing, build, and go; `make help` lists the rest.
.DEFAULT_GOAL := default
SHELL := /bin/sh

PACKAGES := pkg-config libgsl-dev libopenblas-dev libcairo2-dev libpng-dev libpango1.0-dev libcjson-dev libyaml-dev libpcre2-dev libgit2-dev libcurl4-openssl-dev zlib1g-dev liblinear-dev libsvm-dev fonts-dejavu-core libcmocka-dev
FASTER := libdnnl-dev
MODULES := gsl openblas cairo libpng pangocairo glib-2.0 libcjson yaml-0.1 libpcre2-8 libgit2 libcurl zlib cmocka

# With MPI the objects have a directory of their own; MPI_MODULE is pkg-config's name of Open MPI or MPICH.
MODE ?= $(if $(MPI),mpi,release)
OUT := build/$(MODE)
ifneq ($(MPI),)
MPI_MODULE ?= $(firstword $(foreach m,ompi-c mpi-c mpich,$(shell pkg-config --exists $m 2>/dev/null && echo $m)) ompi-c)
PACKAGES += libopenmpi-dev openmpi-bin
MODULES += $(MPI_MODULE)
endif
# The caller's CC, CPPFLAGS, CFLAGS and LDFLAGS hold: the flags come last, so that -O0 or -march=native win.
ifeq ($(origin CC),default)
CC := gcc
endif
COMPILER := $(shell $(CC) --version 2>/dev/null | head -n 1)
# The caller's -j, or a job for each core.
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
AGAIN = $(MAKE) --no-print-directory $(JOBS)

# The release; the library's name follows its first two numbers, since interfaces may change while the first is 0.
RELEASE := 0.2.0
SONAME := libvernier.so.$(basename $(RELEASE))
PREFIX ?= /usr/local
LIBDIR ?= lib

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wconversion \
        -Wdouble-promotion -Wwrite-strings -Wundef -Wno-missing-field-initializers
ifneq ($(findstring clang,$(COMPILER)),)
# clang's NAN and INFINITY are floats, which it would warn of, and it tells of every loop that it leaves scalar.
WARN := $(filter-out -Wdouble-promotion,$(WARN)) -Wno-pass-failed
endif
BASE := -std=c17 -D_GNU_SOURCE -Isrc -fPIC -fno-semantic-interposition -fno-math-errno -ffp-contract=fast -fopenmp -MMD -MP $(WARN)
release_FLAGS := -O3 -g
mpi_FLAGS := $(release_FLAGS)
debug_FLAGS := -O1 -g -DVERNIER_DEBUG -Werror
san_FLAGS := -O1 -g -DVERNIER_DEBUG -Werror -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer
tsan_FLAGS := -O1 -g -DVERNIER_DEBUG -fsanitize=thread -fno-omit-frame-pointer
LIB_CFLAGS = $(shell pkg-config --cflags gsl openblas cairo libpng pangocairo glib-2.0 libcjson yaml-0.1 libpcre2-8 libgit2 libcurl zlib 2>/dev/null | sed 's/-I/-isystem /g')
LIBS = $(shell pkg-config --libs gsl openblas cairo libpng pangocairo glib-2.0 libcjson yaml-0.1 libpcre2-8 libgit2 libcurl zlib 2>/dev/null | sed 's/-lgslcblas//') -llinear -lsvm -lm
# oneDNN is optional and has no pkg-config file: F32 products go through it where its header is, which `make deps`
# sees to where the distribution has it; make DNNL= leaves it out.
DNNL ?= $(if $(wildcard /usr/include/dnnl.h),-ldnnl)
LIBS += $(DNNL)
ifneq ($(MPI),)
LIBS += $(shell pkg-config --libs $(MPI_MODULE) 2>/dev/null)
endif
# The version is the release and git's state.  Sources that git does not know yet are built, too, and make a build dirty
# like changed ones.  A tarball of `make dist` brings its state along, whatever repository it was unpacked in.
UNTRACKED := $(shell git ls-files -o --exclude-standard -- src theory toy probes analysis packaging Makefile 2>/dev/null)
STATE := $(shell cat .state 2>/dev/null || git describe --always --dirty --exclude '*' 2>/dev/null || echo unknown)
VERSION := $(RELEASE)+$(if $(UNTRACKED),$(STATE:%-dirty=%)-dirty,$(STATE))

SOURCES := $(sort $(wildcard src/*/*.c theory/*.c toy/*.c probes/*.c analysis/*.c))
HEADERS := $(sort $(wildcard src/*.h src/*/*.h theory/*.h toy/*.h probes/*.h analysis/*.h))
OBJECTS := $(SOURCES:%.c=$(OUT)/%.o)
LIBRARY := $(filter $(OUT)/src/%,$(filter-out $(OUT)/src/cli/% $(OUT)/src/bench/% $(OUT)/src/score/% $(OUT)/src/manual/% $(OUT)/src/sweep/% $(OUT)/src/runs/% $(OUT)/src/notebook/%,$(OBJECTS)))
TESTED := $(filter-out $(OUT)/src/cli/main.o,$(OBJECTS))
TESTS := $(sort $(patsubst tests/%.c,$(OUT)/tests/%,$(wildcard tests/test_*.c tests/*/test_*.c)))

# The same plain loops, compiled for three instruction sets; kernels.c, attend.c and matvec.c in src/num choose at run time.
$(OUT)/src/num/fast_generic.o: FLAGS := -fno-trapping-math
$(OUT)/src/num/fast_avx2.o $(OUT)/src/num/attend_avx2.o $(OUT)/src/num/matvec_avx2.o: FLAGS := -march=x86-64-v3 -fno-trapping-math
$(OUT)/src/num/fast_avx512.o $(OUT)/src/num/attend_avx512.o $(OUT)/src/num/matvec_avx512.o: FLAGS := -march=x86-64-v4 -mprefer-vector-width=512 -fno-trapping-math

# Loops over numbers of files, some of them dropped again, need the same freedom to become vectors.
$(OUT)/src/io/stored.o $(OUT)/src/num/blocks.o: FLAGS := -fno-trapping-math

.PHONY: all run test check bench bench-growth bench-peers headers layers style deps clean help
default:
	@+$(AGAIN) all
.PHONY: default
all: build/vernier library ## build the program at build/vernier, and the library beside it
library: $(OUT)/libvernier.so $(OUT)/libvernier.a
.PHONY: library

build/vernier: $(OUT)/vernier
	@mkdir -p build && ln -sfr $< $@

# The date on a page is that of the commit, so that equal sources give equal bytes.
man: $(OUT)/vernier ## write a manual page for each command to build/man
	@SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH-$$(git log -1 --format=%ct 2>/dev/null)} $(OUT)/vernier man build/man
completion: $(OUT)/vernier ## write completion for bash, zsh and fish to build/completion
	@mkdir -p build/completion
	@for shell in bash zsh fish; do $(OUT)/vernier completion $$shell >build/completion/vernier.$$shell || exit 1; done
.PHONY: man completion

run: deps ## set up, build, and run the demonstration; ends in out/report.html
	@+$(AGAIN) all
	@build/vernier demo --out out

test: deps ## set up, build, and run every test; the last line counts them
	@+$(AGAIN) all tests
	@tests/run $(OUT)

tests: $(TESTS)
.PHONY: tests

GOLDEN ?= ../shared/golden
test-golden: deps ## compare with third-party implementations whose answers lie below GOLDEN (default ../shared/golden)
	@[ -d '$(GOLDEN)' ] || { echo "GOLDEN is $(GOLDEN), which is no folder" >&2; exit 2; }
	@+$(AGAIN) all $(patsubst %.c,$(OUT)/%,$(filter %.c,$(NAMED)))
	@GOLDEN='$(abspath $(GOLDEN))' VERBOSE=1 tests/run $(OUT) $(NAMED)
test-golden: NAMED = $(shell grep -li golden tests/*/test_*.c tests/cli/*.sh)
.PHONY: test-golden

CASES ?= ../shared/cases
test-cases: deps all ## run inputs that once went wrong, whose right answers lie below CASES (default ../shared/cases)
	@tests/cases $(abspath build/vernier) '$(CASES)'
.PHONY: test-cases

MODELS ?= build/models
test-real: deps ## compare real models, fetched to MODELS (build/models), with the reference libraries
	@+$(AGAIN) all $(REAL:%.c=$(OUT)/%)
	@[ ! -x ../shared/models/fetch ] || ../shared/models/fetch '$(MODELS)' || [ $$? = 77 ]
	@VERNIER_MODELS='$(abspath $(MODELS))' VERNIER_REAL=all tests/run $(OUT) $(REAL)
test-real: REAL = $(wildcard tests/*/test_real_*.c)
.PHONY: test-real

TIMES ?= 2000
mangle: deps ## give TIMES damaged files (2000) to the commands, built with sanitizers
	@+$(AGAIN) MODE=san build/san/vernier build/san/tests/mangle
	@tests/mangle build/san $(TIMES)
.PHONY: mangle

check: deps headers layers style ## what a careful engineer wants before pushing: the above plus sanitizers and kills
	@+$(AGAIN) MODE=san san-all
	@ASAN_OPTIONS=handle_sigfpe=0 UBSAN_OPTIONS=print_stacktrace=1 tests/run build/san
	@+$(AGAIN) tsan
	@+$(AGAIN) all
	@tests/kills
san-all: $(OUT)/vernier $(TESTS)
.PHONY: san-all

# Data races.  gcc's OpenMP waits by futex calls that the sanitizer does not see, so each barrier would look like a race;
# clang's runtime reports its barriers to the sanitizer through its Archer library.  Tests of the code that runs on
# several threads are enough here: the rest is sequential.
THREADED := num/test_kernels num/test_gemm ad/test_attention ad/test_ops_dense ad/test_loss nn/test_model train/test_trainer learn/test_forest \
            text/test_bpe text/test_pretoken change/test_commit_subject analysis/test_figures
THREADED := $(filter $(THREADED:%=tests/%.c),$(wildcard tests/*/test_*.c))
ARCHER := $(lastword $(wildcard /usr/lib/llvm-*/lib/libarcher.so))
tsan: ## look for data races where threads run; needs clang with libomp
ifneq ($(ARCHER),)
	@+$(AGAIN) CC=clang MODE=tsan $(THREADED:%.c=build/tsan/%)
	@TSAN_OPTIONS='ignore_noninstrumented_modules=1' OMP_TOOL_LIBRARIES=$(ARCHER) \
	  OMP_NUM_THREADS=4 tests/run build/tsan $(THREADED)
else
	@echo 'tsan: skipped, clang with libomp (libarcher.so) is not here'
endif
.PHONY: tsan

PICTURED := tests/plot/test_figures tests/analysis/test_figures
pictures: $(PICTURED:%=$(OUT)/%) ## write the stored pictures of figures (tests/plot/pictures) anew; then look at what changed
	@for t in $^; do VERNIER_PICTURES=1 $$t >$(OUT)/tests/out 2>&1 || { cat $(OUT)/tests/out; exit 1; }; done
	@git status --short tests/plot/pictures
.PHONY: pictures

# Fuzzers: the readers compiled by clang with libFuzzer, the address and the undefined-behaviour sanitizer; the rest,
# which parses nothing, is linked as the release has it.  An input that breaks one belongs into tests/fuzz/corpus.
FUZZ_SECONDS ?= 60
FUZZERS := $(filter-out test_corpus seeds,$(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/*.c))))
FUZZED := $(filter src/base/% src/io/% src/text/% src/chat/% src/nn/% src/peft/% src/adapter/%,$(SOURCES))
FUZZ_FLAGS := -std=c17 -D_GNU_SOURCE -Isrc -I. -Itests -O1 -g -DFUZZER -D__SANITIZE_ADDRESS__ -fno-omit-frame-pointer -fno-math-errno -MMD \
              -Wno-unknown-pragmas -fsanitize=fuzzer-no-link,address,undefined,float-cast-overflow -fno-sanitize-recover=all
fuzz: $(FUZZERS:%=fuzz-%) ## fuzz every reader of files, FUZZ_SECONDS each (60); needs clang
fuzz-seeds: build/fuzz/seeds ## write the seeds of the fuzzers again
	@build/fuzz/seeds
fuzz-%: build/fuzz/%
	@mkdir -p build/fuzz/grown/$*
	build/fuzz/$* -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=25 -print_final_stats=1 -verbosity=0 \
	  -artifact_prefix=build/fuzz/$*- build/fuzz/grown/$* tests/fuzz/corpus/$*
build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	@clang $(FUZZ_FLAGS) $(LIB_CFLAGS_CACHED) -c -o $@ $<
build/fuzz/%: build/fuzz/tests/fuzz/%.o $(FUZZED:%.c=build/fuzz/%.o) $(filter-out $(FUZZED:%.c=$(OUT)/%.o),$(TESTED))
	@clang -fsanitize=fuzzer,address,undefined,float-cast-overflow -o $@ $^ $(LIBS) -l:libgomp.so.1
build/fuzz/seeds: tests/fuzz/seeds.c $(TESTED)
	@mkdir -p $(@D)
	@$(CC) $(filter-out -MMD -MP,$(BASE)) $(release_FLAGS) -o $@ $^ $(LIBS)
.PHONY: fuzz fuzz-seeds
.PRECIOUS: build/fuzz/%.o

# Several processes: ranks of MPI on one machine and on four network namespaces, and Slurm.  A part that this machine
# cannot run says so.
check-scale: deps all $(OUT)/tests/tasks/test_lm ## run on several ranks, over four hosts in network namespaces and under Slurm (needs root and packages)
	@+$(AGAIN) MPI=1 build/mpi/vernier
	@VERNIER_SCALE=yes VERNIER_MPI=$(abspath build/mpi/vernier) VERBOSE=1 tests/run $(OUT) $(wildcard tests/scale/*.sh)
.PHONY: check-scale

# Negative controls of the verdicts, which take longer than a test may.
check-untrained: all ## no experiment is supported by models that were never trained (minutes)
	@tests/untrained $(OUT)/vernier
.PHONY: check-untrained

N ?= 20
mutate: all tests ## put N small faults (20) into FILE='src/...', one at a time, and list those that no test notices
	@tests/mutate $(N) $(FILE)
.PHONY: mutate

headers: ## every header compiles alone, twice included
	@for h in $(HEADERS); do \
	  printf '#include "%s"\n#include "%s"\nextern int unused;\n' $$h $$h | \
	    $(CC) $(filter-out -MMD -MP,$(BASE)) $(LIB_CFLAGS) -I. -Werror -fsyntax-only -x c - || { echo "header $$h does not stand alone"; exit 1; }; \
	done; echo "headers: $(words $(HEADERS)) stand alone"

layers: $(OBJECTS) ## every #include against the table of layers, and no circles of use between objects or rooms
	@tests/layers
	@tests/circles $(OUT)

style: ## formatting, line length, function length, allocation, tabs
	@tests/style

FLAGS_HERE = $($(MODE)_FLAGS) -fopenmp $(CFLAGS) $(LDFLAGS)
# The program holds the library's objects itself: one file that runs from anywhere.
$(OUT)/vernier: $(OBJECTS) $(OUT)/flags
	@echo "  LD    $@"
	@$(CC) $(FLAGS_HERE) -o $@ $(OBJECTS) $(LIBS)

# The library: all of src but cli.  What its headers declare can be seen from outside, the rest cannot.
API := $(OUT)/api
$(OUT)/libvernier.so: $(OUT)/libvernier.so.$(RELEASE)
	@ln -sf $(<F) $(OUT)/$(SONAME)
	@ln -sf $(SONAME) $@
$(OUT)/libvernier.so.$(RELEASE): $(LIBRARY) $(API)/map $(OUT)/flags
	@echo "  LD    $@"
	@$(CC) $(FLAGS_HERE) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=$(API)/map -Wl,-Bsymbolic-functions \
	  $(if $(findstring san,$(MODE)),,-Wl,-z,defs) -o $@ $(LIBRARY) $(LIBS)
# One object: an archive of many would leave out those that nothing names, and with them their entries in registries.
$(OUT)/libvernier.a: $(LIBRARY) $(API)/map
	@echo "  AR    $@"
	@ld -r -o $(API)/vernier.o $(LIBRARY) && objcopy --keep-global-symbols=$(API)/names $(API)/vernier.o
	@rm -f $@ && ar rcs $@ $(API)/vernier.o && rm $(API)/vernier.o
$(API)/map: $(LIBRARY) src/vernier.h packaging/api
	@mkdir -p $(API)
	@packaging/api headers src >$(API)/headers && packaging/api names src $(LIBRARY) >$(API)/names && \
	  { echo 'VERNIER_$(basename $(RELEASE)) {'; echo 'global:'; sed 's/$$/;/' $(API)/names; echo 'local: *;'; echo '};'; } >$@

# What tests link: everything but main(), everything visible.
$(OUT)/tests/libtested.so: $(TESTED) $(OUT)/flags
	@mkdir -p $(@D)
	@echo "  LD    $@"
	@$(CC) $(FLAGS_HERE) -shared -Wl,-Bsymbolic-functions -o $@ $(TESTED) $(LIBS)
$(OUT)/tests/%: $(OUT)/tests/%.o | $(OUT)/tests/libtested.so
	@echo "  LD    $@"
	@$(CC) $(FLAGS_HERE) -o $@ $< -L$(OUT)/tests -ltested -Wl,-rpath,'$$ORIGIN:$$ORIGIN/..' $(LIBS) -lcmocka
# This test counts how often a pass uses each parameter and each stream of random numbers; only calls between objects can
# be wrapped.
$(OUT)/tests/peft/test_counts: LINK := -Wl,--wrap=tape_param,--wrap=pass_stream
$(OUT)/tests/peft/test_counts: $(OUT)/tests/peft/test_counts.o $(TESTED)
	@echo "  LD    $@"
	@$(CC) $(FLAGS_HERE) -o $@ $^ $(LINK) $(LIBS) -lcmocka

COMPILE = $(CC) $(BASE) $(LIB_CFLAGS_CACHED) $($(MODE)_FLAGS)
$(OUT)/%.o: %.c $(OUT)/flags
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(COMPILE) -I. -Itests $(CPPFLAGS) $(CFLAGS) $(FLAGS) -c -o $@ $<
$(OUT)/flags: force # changes only when the compiler or the flags do
	@mkdir -p $(@D)
	@echo '$(subst ','"'"',$(COMPILE) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)) $(COMPILER)' | cmp -s - $@ || \
	  echo '$(subst ','"'"',$(COMPILE) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)) $(COMPILER)' >$@

# The one file that knows MPI.
ifneq ($(MPI),)
$(OUT)/src/base/wire.o: FLAGS := -DVERNIER_MPI $(shell pkg-config --cflags $(MPI_MODULE) 2>/dev/null | sed 's/-I/-isystem /g')
$(OUT)/src/base/wire.o: | mpi-there
mpi-there:
	@pkg-config --exists $(MPI_MODULE) || { echo "MPI=1: pkg-config finds neither Open MPI nor MPICH (make deps MPI=1)" >&2; exit 2; }
.PHONY: mpi-there
endif

# The assembler puts the page into the object.
$(OUT)/analysis/explorer.o: $(wildcard analysis/explorer/*)

$(OUT)/src/num/gemm.o $(OUT)/src/num/bf16.o: FLAGS := $(if $(DNNL),-DVERNIER_DNNL)
$(OUT)/src/num/gemm.o: $(OUT)/products
$(OUT)/products: force # changes only when the library does
	@mkdir -p $(@D)
	@echo '$(DNNL)' | cmp -s - $@ || echo '$(DNNL)' >$@
LIB_CFLAGS_CACHED := $(LIB_CFLAGS)
$(OUT)/src/run/manifest.o: FLAGS := -DVERNIER_VERSION='"$(VERSION)"' -DVERNIER_FLAGS='"$(MODE): $($(MODE)_FLAGS)"'
$(OUT)/src/run/manifest.o: $(OUT)/version
$(OUT)/version: force # changes only when the version does, so that a manifest never names an older one
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@
.PHONY: force

# ---- notebooks: each cell is a program on the library.  A cell's line "//%cflags: @cflags" reads this file, in which an
# installed copy would have the words of pkg-config (notebooks-c/README.md).
BOOKS := $(patsubst notebooks-c/%.c,%,$(sort $(wildcard notebooks-c/*.c)))
BOOKS_AT ?= build/notebooks
notebooks: all ## run the notebooks of notebooks-c; write those that changed there, and a page of each to build/notebooks
	@+$(AGAIN) $(BOOKS:%=$(BOOKS_AT)/%.html)
check-notebooks: all ## run them elsewhere, and fail where a stored output is stale
	@rm -rf build/check-notebooks
	@+$(AGAIN) -k BOOKS_AT=build/check-notebooks STORED=--against $(BOOKS:%=build/check-notebooks/%.html)
STORED ?= --store
$(BOOKS_AT)/cflags: $(OUT)/libvernier.so
	@mkdir -p $(@D)
	@echo '-I$(CURDIR)/notebooks-c -I$(CURDIR)/src' >$@
	@echo '-L$(CURDIR)/$(OUT) -lvernier -lm -Wl,-rpath,$(CURDIR)/$(OUT)' >$(@D)/ldflags
$(BOOKS_AT)/%.html: notebooks-c/%.c $(wildcard notebooks-c/*.h) $(OUT)/vernier $(BOOKS_AT)/cflags
	@echo "  RUN   $<"
	@OMP_NUM_THREADS=1 CC='$(CC)' $(OUT)/vernier notebook --quiet --overwrite --out $(@D) $(STORED) notebooks-c/$*.ipynb $<
check-jupyter: notebooks man completion ## the same text from Jupyter with jupyter-c-kernel, in a virtual environment (or JUPYTER_PYTHON)
	@OUT='$(OUT)' RELEASE='$(RELEASE)' SONAME='$(SONAME)' PRIVATE='$(LIBS) -fopenmp' tests/notebooks/jupyter
.PHONY: notebooks check-notebooks check-jupyter

bench: all ## time training steps against this machine's own rate of matrix products
	@build/vernier bench

# PyTorch and its libraries live in a virtual environment of their own, or where PEERS_PYTHON says; nothing else uses them.
PEERS ?= build/peers
PEERS_PYTHON ?= $(PEERS)/bin/python
bench-peers: all ## the same beside the newest PyTorch, transformers and peft, from PyPI to build/peers (or PEERS_PYTHON)
	@[ -x '$(PEERS_PYTHON)' ] || { python3 -m venv '$(PEERS)' && \
	  '$(PEERS)/bin/pip' install --quiet --upgrade torch transformers peft || { rm -rf '$(PEERS)'; false; }; } || \
	  { echo 'bench-peers: skipped, PyTorch, transformers and peft cannot be installed from PyPI'; exit 0; }; \
	  [ ! -x '$(PEERS_PYTHON)' ] || '$(PEERS_PYTHON)' tests/bench/peers.py build/vernier

bench-growth: all $(OUT)/tests/bench/growth ## how time and memory grow with size, with exponents: docs/growth.md
	@sh tests/bench/growth.sh

# ---- to install, to hand on

install: all man completion ## install program, library, headers, manuals and completions below PREFIX (/usr/local), behind DESTDIR
	@OUT='$(OUT)' PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' DESTDIR='$(DESTDIR)' RELEASE='$(RELEASE)' SONAME='$(SONAME)' \
	  PRIVATE='$(LIBS) -fopenmp' packaging/install

private: # what a program needs beside libvernier.a
	@echo '$(LIBS) -fopenmp'
.PHONY: private

uninstall: ## remove what `make install` has put there
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' packaging/uninstall

DIST := vernier-$(RELEASE)
dist: ## a tarball of the last commit, build/vernier-RELEASE.tar.gz, which builds without git
	@mkdir -p build
	@git describe --always --exclude '*' HEAD >build/.state
	@git archive --format=tar.gz --prefix=$(DIST)/ --add-file=build/.state -o build/$(DIST).tar.gz HEAD
	@echo build/$(DIST).tar.gz

deb: all ## a Debian package, build/vernier_RELEASE_ARCH.deb
	@RELEASE='$(RELEASE)' MODE='$(MODE)' packaging/deb
.PHONY: install uninstall dist deb

deps: ## install the packages that are missing (apt, with sudo when not root)
	@if command -v pkg-config >/dev/null && pkg-config --exists $(MODULES) && \
	    [ -e /usr/include/linear.h ] && [ -e /usr/include/libsvm/svm.h ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	  echo "These Debian packages, or what your system calls them, are needed: $(PACKAGES)" >&2; exit 2; fi; \
	if [ "$$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi; \
	if [ -n "$$sudo" ] && ! command -v sudo >/dev/null; then \
	  echo "Not root and no sudo; please install: $(PACKAGES)" >&2; exit 2; fi; \
	echo "installing: $(PACKAGES)"; \
	$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null || exit 1; \
	DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $(FASTER) >/dev/null 2>&1 || \
	  echo "no package $(FASTER) here: matrix products go through OpenBLAS alone"

clean: ## remove what was built
	rm -rf build

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' Makefile

-include $(sort $(OBJECTS:.o=.d)) $(TESTS:=.d) $(wildcard build/fuzz/*/*/*.d)
.PRECIOUS: $(OUT)/%.o
