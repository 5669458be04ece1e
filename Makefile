# The whole workshop in one page. Each target first installs what it lacks (scripts/packages.txt).
#
#   make build                     build/fieldgate
#   make demo [FOR=15s]            the main job, running on this machine; ends on Ctrl-C or after FOR
#   make test [ONLY="unit e2e"]    every test that a change must pass
#   make test-full                 the same for longer, with every sanitizer, fuzzing and torture
#   make torture [KILLS=] [STATES=] [ONLY=]
#   make fuzz [FUZZ_SECONDS=300] [TARGETS="packet frame"]
#   make bench                     what it costs and how fast it is
#   make nab [NAB_DATA= NAB_SCORE=] what the anomaly detectors score on the Numenta Anomaly Benchmark
#   make install [PREFIX=/usr/local] [DESTDIR=]
#   make clean
SHELL  := /bin/bash
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 300
export FUZZ_SECONDS

.PHONY: build demo test test-full torture fuzz bench nab install clean
.DEFAULT_GOAL := build

build:
	@scripts/need.sh build
	@scripts/build.sh release fieldgate

demo: build
	@build/fieldgate demo m2m $(if $(FOR),--for $(FOR))

test:
	@scripts/need.sh build test e2e
	@tests/run.sh $(ONLY)

test-full:
	@scripts/need.sh build test e2e fuzz
	@FG_FULL=1 tests/run.sh $(ONLY)

torture:
	@scripts/need.sh build test
	@scripts/build.sh release fieldgate
	@scripts/build.sh test
	@tests/torture.sh

fuzz:
	@scripts/need.sh build fuzz
	@scripts/fuzz.sh $(TARGETS)

bench:
	@scripts/need.sh build bench
	@scripts/build.sh release fieldgate
	@scripts/build.sh test
	@bench/run.sh

nab:
	@scripts/need.sh build
	@scripts/build.sh release fg_detect fg_base
	@bench/nab.sh || [ $$? = 77 ]

# As root after `make build`, it installs what was built and compiles nothing.
install:
	@test -x build/fieldgate || $(MAKE) --no-print-directory build
	install -D -m 755 build/fieldgate $(DESTDIR)$(PREFIX)/bin/fieldgate
	@if [ -f packaging/fieldgate.service ]; then \
		install -d $(DESTDIR)$(PREFIX)/lib/systemd/system && \
		sed 's,@PREFIX@,$(PREFIX),g' packaging/fieldgate.service \
			>$(DESTDIR)$(PREFIX)/lib/systemd/system/fieldgate.service && \
		echo "installed $(DESTDIR)$(PREFIX)/lib/systemd/system/fieldgate.service"; \
	fi

clean:
	rm -rf build build-test build-asan build-tsan build-fuzz
