# mod_spawn: what people type is at the top.
#
#   make run      install what is missing, build, and start the example site
#   make test     install what is missing, build, and run every test; TESTS="t/perl/*.t": some
#   make bench    the same, and measure: at most 12 minutes; QUICK=1: one
#   make          build only
#   make install  the module where apxs says, Perl's where perl says, the rest
#                 below PREFIX (/usr/local); DESTDIR is put before all of them
#   make dist     the release's tarball, into build/dist
#   make deb      Debian's packages, into build/deb; installs what is missing for that
#   make rpm      packages for rpm, into build/rpm, where rpmbuild and what the build needs are
#   make docs     the manual, as pages of HTML, into build/manual; installs what is missing
#
# V=1 shows the commands, WERROR=1 makes a warning an error, and CC, CPPFLAGS,
# CFLAGS and LDFLAGS are taken from the command line or the environment. B=/some/where
# builds there; APXS=/path/of/apxs, for another httpd than that of PATH.

APXS   ?= apxs
PERL   ?= perl
PORT   ?= 8080
FUZZ_SECONDS ?= 20

# make has a CC of its own, so that ?= would not count.
ifeq ($(origin CC),default)
CC := gcc
endif

# SANITIZE=1: everything once more, in a directory of its own, such that memory
# errors and undefined behaviour are found (t/run knows what it needs).
ifeq ($(SANITIZE),1)
B        := build/sanitized
CFLAGS   := -O1 -g -fno-omit-frame-pointer
CPPFLAGS :=
SAN      := -fsanitize=address,undefined -fno-sanitize-recover=undefined
else
B := build
endif

# All cores, unless whoever calls make says how many: -j on the command line wins
# by itself, a make above ours and MAKEFLAGS in the environment are asked for.
ifeq ($(MAKELEVEL),0)
JOBS := $(shell case " $$MAKEFLAGS" in (*" -j"*) ;; (*) nproc ;; esac)
MAKEFLAGS += $(addprefix -j,$(JOBS))
endif

# "make clean all" is to do one after the other.
ifneq ($(filter clean,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

# $(call does,CC,what)command: the command itself is shown only with V=1.
ifeq ($(V),1)
does =
else ifneq ($(findstring s,$(firstword -$(MAKEFLAGS))),)
does = @
else
does = @echo '  $(1) $(2)';
endif

.PHONY: all run dist deb rpm docs install-docs manual test test-packages test-surroundings test-crash test-browser test-long test-system test-vm soak screenshots bench bench-programs install uninstall deps clean fuzz lint mutants simulate unit probe
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

run:
	@packaging/install-deps run
	@$(MAKE) --no-print-directory all
	@PORT=$(PORT) exec examples/run

test:
	@packaging/install-deps test
	@$(MAKE) --no-print-directory all unit probe
	@SPAWN_BUILD=$(B) FUZZ_SECONDS=$(FUZZ_SECONDS) t/run $(if $(filter command,$(firstword $(origin TESTS))),$(TESTS))

# All tests, with 10 minutes of soak; see CONTRIBUTING.md.
test-long: export SOAK_SECONDS := 200
test-long: export CUTS := 100
test-long: test

# With a real systemd, as process 1 of namespaces; needs root.
test-system:
	@packaging/install-deps test
	@$(MAKE) --no-print-directory all unit probe
	@SPAWN_BUILD=$(B) t/run t/system/*.t

# Debian's packages, installed, upgraded and removed in a Debian of their own; needs root and apt.
test-packages:
	@packaging/install-deps test
	@packaging/install-deps packages
	@$(MAKE) --no-print-directory all unit probe
	@packaging/deb $(B)/deb
	@SPAWN_BUILD=$(B) TEST_LIMIT=3600 t/run t/packages/*.t

# The two commands of the README in five surroundings; needs root and apt, and takes long.
test-surroundings:
	@packaging/install-deps surroundings
	@$(MAKE) --no-print-directory all unit probe
	@SPAWN_BUILD=$(B) TEST_LIMIT=14400 t/run t/surroundings/*.t

# With a browser, which is big; make test has these tests too, where one is there.
test-browser:
	@packaging/install-deps browser
	@$(MAKE) --no-print-directory all probe
	@SPAWN_BUILD=$(B) t/run t/browser/*.t

# Pictures of the status page, into build/screenshots; DOCS=1: those of the documents, too.
screenshots:
	@packaging/install-deps browser
	@$(MAKE) --no-print-directory all
	@SPAWN_BUILD=$(abspath $(B)) PERL5LIB=$(abspath $(B))/perl t/browser/screenshots $(if $(DOCS),--docs)

# In a virtual machine, for what needs another kernel than this one; not a part of test.
test-vm:
	@$(MAKE) --no-print-directory all probe
	@SPAWN_BUILD=$(B) t/vm/run $(VM_TESTS)

bench:
	@packaging/install-deps test
	@bench/install-deps
	@$(MAKE) --no-print-directory all bench-programs
	@SPAWN_BUILD=$(B) bench/run $(if $(QUICK),--quick)
	@bench/report $(if $(QUICK),--quick)

deps:
	@packaging/install-deps test

# ---- flags ----

# Our own headers are named from the top of the sources.
WARN    := -std=c11 -D_GNU_SOURCE -iquote . -Wall -Wextra $(if $(filter 1,$(WERROR)),-Werror) -Wshadow \
           -Wstrict-prototypes -Wmissing-prototypes

ifeq ($(origin CFLAGS),undefined)
CFLAGS  := -O2 -g -fstack-protector-strong
ifeq ($(findstring _FORTIFY_SOURCE,$(CPPFLAGS)),)
FORTIFY := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
endif

# A call of a library reads its address where it is called. Through a table of jumps
# each would touch a cache line more, which is most of its time in a process that slept.
NO_PLT  := -fno-plt

COMPILE = $(CC) $(WARN) $(FORTIFY) $(CPPFLAGS) $(CFLAGS) $(SAN) -MMD -MP
LINK    = $(CC) $(CFLAGS) $(SAN) $(LDFLAGS)

# What has to be asked for is asked for when it is needed first, and once.
once = $(eval $(1) := $(2))$($(1))

# The APR that httpd was built with, which may be another one than that of PATH.
config  = $(or $(shell $(APXS) -q $(1) 2>/dev/null),$(2))
APR_CONFIG = $(call once,APR_CONFIG,$(call config,APR_CONFIG,apr-1-config))
APU_CONFIG = $(call once,APU_CONFIG,$(call config,APU_CONFIG,apu-1-config))
APR     = $(call once,APR,$(shell $(APR_CONFIG) --includes --cppflags 2>/dev/null))
APRLIB  = $(call once,APRLIB,$(shell $(APR_CONFIG) --link-ld --libs 2>/dev/null))
HTTPD   = $(call once,HTTPD,-I$(shell $(APXS) -q INCLUDEDIR 2>/dev/null) $(APR) \
          -I$(shell $(APU_CONFIG) --includedir 2>/dev/null))
# perl's own headers shadow names and are not ours to correct
PERLCC  = $(call once,PERLCC,$(shell $(PERL) -MConfig -e \
          'print "$$Config{ccflags} -isystem $$Config{archlibexp}/CORE"') \
          -Wno-shadow -Wno-unused-parameter)

# Where make install puts things; each can be given.
HTTPD_MODULES ?= $(shell $(APXS) -q LIBEXECDIR 2>/dev/null)
HTTPD_INCLUDE ?= $(shell $(APXS) -q INCLUDEDIR 2>/dev/null)
PERL_ARCH     ?= $(shell $(PERL) -MConfig -e 'print $$Config{installsitearch}')
PREFIX        ?= /usr/local
BINDIR        ?= $(PREFIX)/bin
MANDIR        ?= $(PREFIX)/share/man
DOCDIR        ?= $(PREFIX)/share/doc/mod_spawn
BASHCOMPDIR   ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR    ?= $(PREFIX)/share/zsh/site-functions
# systemd's units (docs/systemd.md), when it is given
UNITDIR       ?=

comma   := ,
objects = $(patsubst %.c,$(B)/$(1)/%.o,$(2))

COMMON_C  := $(wildcard common/*.c)
CLIENT_C  := $(wildcard client/*.c)
SPAWNER_C := $(wildcard spawner/*.c)
BROKER_C  := $(wildcard broker/*.c broker/*/*.c)
MODULE_C  := mod_spawn.c $(wildcard module/*.c module/status/*.c)
CTL_C     := $(wildcard ctl/*.c)
RELAY_C   := $(wildcard relay/*.c)

# ---- common and client: once for all that is not static ----

$(B)/shared/%.o: %.c
	@mkdir -p $(@D)
	$(call does,CC,$<)$(COMPILE) -pthread -fPIC $(NO_PLT) -fvisibility=hidden -c -o $@ $<

COMMON := $(call objects,shared,$(COMMON_C))
CLIENT := $(call objects,shared,$(CLIENT_C))

# ---- the spawner: static, so that it is small and forks fast ----

# At an address of its own in each start, since it is root and reads what others send.
# STATIC=-static is for a C library that has no parts for that.
ifeq ($(SAN),)
STATIC ?= -static-pie
endif

$(B)/mod_spawn/spawner: $(call objects,static,$(COMMON_C) $(SPAWNER_C))
	@mkdir -p $(@D)
	$(call does,LD,$@)$(LINK) $(STATIC) -Wl,-z,relro,-z,now -o $@ $^
	@chmod 755 $@

$(B)/static/%.o: %.c
	@mkdir -p $(@D)
	$(call does,CC,$<)$(COMPILE) -fPIE -c -o $@ $<

# ---- the broker: httpd's User executes it, whatever the umask of who builds ----

$(B)/mod_spawn/broker: $(call objects,broker,$(BROKER_C)) $(COMMON)
	@mkdir -p $(@D)
	$(call does,LD,$@)$(LINK) -o $@ $^ $(APRLIB) -lsqlite3
	@chmod 755 $@

$(B)/broker/%.o: %.c
	@mkdir -p $(@D)
	$(call does,CC,$<)$(COMPILE) $(APR) -c -o $@ $<

# ---- the relay: only where librabbitmq is; without it shared queues are refused at the start ----

HAS_RABBITMQ := $(shell printf '\043include <amqp.h>\n' | $(CC) $(CPPFLAGS) $(CFLAGS) -E -x c - >/dev/null 2>&1 && echo yes)

$(B)/mod_spawn/relay: $(call objects,relay,$(RELAY_C)) $(COMMON)
	@mkdir -p $(@D)
	$(call does,LD,$@)$(LINK) -o $@ $^ -lrabbitmq
	@chmod 755 $@

$(B)/relay/%.o: %.c
	@mkdir -p $(@D)
	$(call does,CC,$<)$(COMPILE) -c -o $@ $<

# ---- the module ----

# the perl of templates that name none
PERL_REAL = $(shell $(PERL) -MConfig -e 'print $$Config{perlpath}')
ifeq ($(SANITIZE),1)
PERL_PATH = $(abspath $(B))/perl-sanitized
else
PERL_PATH = $(call once,PERL_PATH,$(PERL_REAL))
endif

$(B)/mod_spawn.so: $(call objects,module,$(MODULE_C)) $(COMMON) $(CLIENT)
	@mkdir -p $(@D)
	$(call does,LD,$@)$(LINK) -shared -fPIC -Wl,-Bsymbolic -pthread -o $@ $^

# The files of the status page, as a part of the module.
STATUS_FILES := $(wildcard module/status/*.css module/status/*.js module/status/*.svg)

$(B)/module/status/status_files.h: module/status/embed $(STATUS_FILES)
	@mkdir -p $(@D)
	$(call does,EMBED,$@)$(PERL) module/status/embed $(STATUS_FILES) >$@

$(B)/module/module/status/files.o: $(B)/module/status/status_files.h
$(B)/module/module/status/files.o: EMBEDDED := -iquote $(B)/module/status

$(B)/module/%.o: %.c
	@mkdir -p $(@D)
	$(call does,CC,$<)$(COMPILE) $(EMBEDDED) $(HTTPD) -DSPAWN_PERL='"$(PERL_PATH)"' -fPIC -fvisibility=hidden -c -o $@ $<

# ---- spawnctl ----

$(B)/spawnctl: $(call objects,ctl,$(CTL_C)) $(COMMON) $(CLIENT)
	@mkdir -p $(@D)
	$(call does,LD,$@)$(LINK) -pthread -o $@ $^ -ljansson
	@chmod 755 $@

$(B)/ctl/%.o: %.c
	@mkdir -p $(@D)
	$(call does,CC,$<)$(COMPILE) -pthread -c -o $@ $<

# ---- Perl: build/perl is what perl -I wants ----

PM := $(patsubst perl/lib/%,$(B)/perl/%,$(shell find perl/lib -name '*.pm' -o -name '*.pod' 2>/dev/null))
XS_SPAWN := $(B)/perl/auto/Apache2/Spawn/Spawn.so
XS_HTTPD := $(B)/perl/auto/Apache2/Spawn/Httpd/Httpd.so
XS_TEMPLATE := $(B)/perl/auto/Apache2/Spawn/Template/Template.so
XS_PROCESS := $(B)/perl/auto/Apache2/Spawn/Process/Process.so
XS_SERVE := $(B)/perl/auto/Apache2/Spawn/Process/Serve/Serve.so
WAITER := $(B)/perl/auto/Apache2/Spawn/Process/Serve/waiter

$(B)/perl/%: perl/lib/%
	@mkdir -p $(@D)
	$(call does,CP,$<)cp $< $@

$(B)/xs/%.c: perl/xs/%.xs
	@mkdir -p $(@D)
	$(call does,XS,$<)$(PERL) -MExtUtils::ParseXS=process_file -e 'process_file(filename => shift, output => shift, prototypes => 0)' $< $@

$(B)/xs/%.o: $(B)/xs/%.c
	$(call does,CC,$<)$(filter-out -Wstrict-prototypes -Wmissing-prototypes,$(COMPILE)) $(PERLCC) $(HTTPD) -fPIC $(NO_PLT) -c -o $@ $<

$(B)/xs/%.o: %.c
	@mkdir -p $(@D)
	$(call does,CC,$<)$(COMPILE) $(PERLCC) -pthread -fPIC $(NO_PLT) -fvisibility=hidden -c -o $@ $<

$(XS_SPAWN): $(B)/xs/Spawn.o $(call objects,xs,$(wildcard perl/xs/*.c)) $(COMMON) $(CLIENT)
	@mkdir -p $(@D)
	$(call does,LD,$@)$(LINK) -shared -fPIC -Wl,-Bsymbolic -Wl,-z,now -pthread -o $@ $^

$(XS_HTTPD): $(B)/xs/Httpd.o
	@mkdir -p $(@D)
	$(call does,LD,$@)$(LINK) -shared -fPIC -o $@ $^

# librt: timers, before glibc 2.34
$(XS_TEMPLATE): $(B)/xs/Template.o $(call objects,xs,$(wildcard perl/xs/template/*.c) perl/xs/taint.c) $(COMMON)
	@mkdir -p $(@D)
	$(call does,LD,$@)$(LINK) -shared -fPIC -Wl,-Bsymbolic -Wl,-z,now -pthread -o $@ $^ -lrt

$(XS_PROCESS): $(B)/xs/Process.o $(call objects,xs,$(wildcard perl/xs/process/*.c))
	@mkdir -p $(@D)
	$(call does,LD,$@)$(LINK) -shared -fPIC -Wl,-Bsymbolic -Wl,-z,now -o $@ $^

$(XS_SERVE): $(B)/xs/Serve.o $(call objects,xs,$(wildcard perl/xs/serve/*.c) perl/xs/process/passed.c perl/xs/template/cpu.c) $(COMMON)
	@mkdir -p $(@D)
	$(call does,LD,$@)$(LINK) -shared -fPIC -Wl,-Bsymbolic -Wl,-z,now -pthread -o $@ $^

# Small, and without a C library (perl/waiter/bare.h); last, whatever CFLAGS say.
# Whoever a process runs as executes it.
BARE := -DSPAWN_BARE -ffreestanding -fno-stack-protector -fcf-protection=none -fno-lto -fno-pie \
        -U_FORTIFY_SOURCE -static -nostdlib

$(WAITER): $(wildcard perl/waiter/*.c perl/waiter/*.h)
	@mkdir -p $(@D)
	$(call does,CC,$<)$(filter-out -MMD -MP $(SAN),$(COMPILE)) $(LDFLAGS) $(BARE) -o $@ $(filter %.c,$^)
	@chmod 755 $@

# ---- everything ----

PROGRAMS := $(B)/mod_spawn/spawner $(B)/mod_spawn/broker $(B)/mod_spawn.so \
            $(B)/spawnctl $(XS_SPAWN) $(XS_HTTPD) $(XS_TEMPLATE) $(XS_PROCESS) $(XS_SERVE) $(WAITER) $(PM)

ifeq ($(HAS_RABBITMQ),yes)
PROGRAMS += $(B)/mod_spawn/relay
else
$(info mod_spawn: no amqp.h (package librabbitmq-dev): built without the relay, and so without shared queues)
endif

ifeq ($(SANITIZE),1)
PROGRAMS += $(B)/perl-sanitized
endif

all: $(PROGRAMS)

# A perl that has what sanitized libraries need, which has to be there first.
$(B)/perl-sanitized: Makefile
	@mkdir -p $(@D)/reports
	@chmod 1777 $(@D)/reports
	@{ echo '#!/bin/sh'; \
	  echo 'export LD_PRELOAD="$(shell $(CC) -print-file-name=libasan.so)"'; \
	  echo 'export ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1:log_path=$(abspath $(@D))/reports/address"'; \
	  echo 'export UBSAN_OPTIONS="print_stacktrace=1:log_path=$(abspath $(@D))/reports/undefined"'; \
	  echo 'exec $(PERL_REAL) "$$@"'; } >$@
	@chmod 755 $@

# ---- unit tests: cmocka programs that speak TAP; some are their own broker ----

UNIT := $(patsubst t/unit/%.c,$(B)/t/unit/%.t,$(wildcard t/unit/*.c))

unit: $(UNIT)

# What some of them start is built before them.
$(filter $(B)/t/unit/broker_%,$(UNIT)): | $(B)/mod_spawn/broker $(B)/t/clock.so $(B)/t/cpu.so $(B)/t/sync.so $(B)/t/memory.so \
    $(B)/t/hangfs
$(filter $(B)/t/unit/spawner%,$(UNIT)): | $(B)/mod_spawn/spawner
$(B)/t/unit/template_freeze_fails.t: | $(B)/t/inner_malloc.so

# Some are about rooms of the broker, and link what is in them and below.
ROOM_JOB := $(call objects,broker,$(wildcard broker/base/*.c broker/job/*.c))
OF_ROOMS := $(B)/t/unit/broker_state.t $(B)/t/unit/broker_queue.t $(B)/t/unit/broker_schedule.t \
            $(B)/t/unit/broker_stores.t $(B)/t/unit/broker_aside.t $(B)/t/unit/broker_salvage.t $(B)/t/unit/broker_lock.t $(B)/t/unit/broker_base.t \
            $(B)/t/unit/broker_due.t $(B)/t/unit/broker_moments.t $(B)/t/unit/broker_when.t \
            $(B)/t/unit/broker_notes.t $(B)/t/unit/broker_order.t $(B)/t/unit/broker_durable_rows.t $(B)/t/unit/broker_durable_answers.t \
            $(B)/t/unit/broker_durable_follows.t \
            $(B)/t/unit/broker_keys.t $(B)/t/unit/broker_ledger_trim.t $(B)/t/unit/broker_ledger_drop.t \
            $(B)/t/unit/broker_durable_asked.t $(B)/t/unit/broker_watch_fails.t \
            $(B)/t/unit/broker_cron_kept.t $(B)/t/unit/broker_cron_entry.t $(B)/t/unit/broker_told.t \
            $(B)/t/unit/broker_unread.t $(B)/t/unit/broker_ask_turns.t $(B)/t/unit/broker_big_store.t \
            $(B)/t/unit/broker_chosen_ids.t $(B)/t/unit/broker_walks.t $(B)/t/unit/broker_room_sums.t \
             $(B)/t/unit/broker_meters.t $(B)/t/unit/broker_checkpoint_fails.t $(B)/t/unit/broker_list.t \
             $(B)/t/unit/broker_leases_walk.t $(B)/t/unit/broker_leases_unreadable.t \
             $(B)/t/unit/broker_watch_looks.t $(B)/t/unit/broker_deaf_looks.t
$(OF_ROOMS): $(ROOM_JOB)
$(OF_ROOMS): ROOM_LIBS = $(APRLIB)
$(B)/t/unit/broker_unrecorded.t: $(B)/broker/broker/store/unrecorded.o
$(B)/t/unit/broker_schedule.t: $(B)/broker/broker/run/schedule.o
$(B)/t/unit/broker_when.t: $(B)/broker/broker/run/when.o
$(B)/t/unit/broker_order.t: $(B)/broker/broker/run/order.o
$(B)/t/unit/broker_durable_rows.t $(B)/t/unit/broker_durable_answers.t $(B)/t/unit/broker_durable_follows.t: $(B)/broker/broker/run/durable.o \
    $(B)/broker/broker/run/durable_ask.o $(B)/broker/broker/run/durable_follow.o
$(B)/t/unit/broker_durable_answers.t: ROOM_LIBS = $(APRLIB) -Wl,--wrap=spawn_mono_ms,--wrap=spawn_loop_again
$(B)/t/unit/broker_durable_follows.t: ROOM_LIBS = $(APRLIB) -Wl,--wrap=spawn_mono_ms,--wrap=spawn_loop_again,--wrap=statfs
$(B)/t/unit/broker_durable_asked.t: $(B)/broker/broker/run/durable_ask.o
$(B)/t/unit/broker_durable_asked.t: ROOM_LIBS = $(APRLIB) -Wl,--wrap=spawn_mono_ms,--wrap=spawn_array_grow
LEDGER_OBJECTS := $(call objects,broker,broker/store/ledger.c broker/store/ledger_file.c)
$(B)/t/unit/broker_ledger_rows.t $(B)/t/unit/broker_ledger_files.t $(B)/t/unit/broker_ledger_fails.t \
$(B)/t/unit/broker_ledger_any_call.t: $(LEDGER_OBJECTS)
$(B)/t/unit/broker_ledger_rows.t: ROOM_LIBS = -Wl,--wrap=spawn_os_boot_id
$(B)/t/unit/broker_scribe_serves.t $(B)/t/unit/broker_scribe_disk.t: $(LEDGER_OBJECTS) $(call objects,broker,broker/store/scribe_serve.c broker/base/alloc.c)
$(B)/t/unit/broker_scribe_serves.t $(B)/t/unit/broker_scribe_disk.t: ROOM_LIBS = $(APRLIB)
$(B)/t/unit/broker_scribe.t: $(call objects,broker,broker/process/scribe.c broker/base/alloc.c broker/base/array.c broker/base/timer.c)
$(B)/t/unit/broker_scribe.t: ROOM_LIBS = $(APRLIB) -Wl,--wrap=spawn_mono_ms
$(B)/t/unit/broker_cron_entry.t: $(B)/broker/broker/caller/cron_entry.o
$(B)/t/unit/broker_leases_walk.t $(B)/t/unit/broker_leases_unreadable.t: $(B)/broker/broker/run/lease.o \
    $(call objects,broker,$(filter-out %/worker.c,$(wildcard broker/process/*.c)) $(wildcard broker/store/*.c))
$(B)/t/unit/broker_leases_walk.t $(B)/t/unit/broker_leases_unreadable.t: ROOM_FLAGS = $(APR)
$(B)/t/unit/broker_leases_unreadable.t: ROOM_LIBS = $(APRLIB) -Wl,--wrap=spawn_store_find,--wrap=spawn_recent_is_new \
    -Wl,--wrap=spawn_worker_lend,--wrap=spawn_worker_take_back
$(B)/t/unit/broker_leases_walk.t: ROOM_LIBS = $(APRLIB) -Wl,--wrap=spawn_worker_next,--wrap=spawn_slate_look,--wrap=spawn_slate_begin \
    -Wl,--wrap=spawn_slate_hold,--wrap=spawn_slate_finish,--wrap=spawn_worker_lend,--wrap=spawn_worker_take_back
$(B)/t/unit/broker_told.t: $(B)/broker/broker/recover_told.o
$(B)/t/unit/broker_watch_looks.t: $(B)/broker/broker/caller/watcher.o
$(B)/t/unit/broker_watch_looks.t: ROOM_LIBS = $(APRLIB) -Wl,--wrap=spawn_mono_ms
$(B)/t/unit/broker_deaf_looks.t: $(B)/broker/broker/process/deaf.o
$(B)/t/unit/broker_deaf_looks.t: ROOM_LIBS = $(APRLIB) -Wl,--wrap=spawn_mono_ms,--wrap=spawn_os_parent,--wrap=spawn_os_unreaped
$(B)/t/unit/broker_unread.t: $(B)/broker/broker/caller/unread.o
$(B)/t/unit/broker_ask_turns.t: $(B)/broker/broker/caller/ask.o $(B)/broker/broker/caller/unread.o
$(B)/t/unit/broker_stores.t $(B)/t/unit/broker_aside.t $(B)/t/unit/broker_salvage.t $(B)/t/unit/broker_lock.t $(B)/t/unit/broker_due.t \
$(B)/t/unit/broker_notes.t $(B)/t/unit/broker_cron_kept.t $(B)/t/unit/broker_ledger_trim.t \
$(B)/t/unit/broker_ledger_drop.t $(B)/t/unit/broker_big_store.t \
$(B)/t/unit/broker_walks.t $(B)/t/unit/broker_list.t $(B)/t/unit/broker_room_sums.t \
$(B)/t/unit/broker_checkpoint_fails.t: \
    $(call objects,broker,$(wildcard broker/process/*.c broker/store/*.c))
$(B)/t/unit/broker_due.t: $(B)/broker/broker/caller/reply.o
$(B)/t/unit/broker_due.t $(B)/t/unit/broker_when.t $(B)/t/unit/broker_watch_fails.t $(B)/t/unit/broker_watch_looks.t $(B)/t/unit/broker_ask_turns.t \
$(B)/t/unit/broker_durable_answers.t $(B)/t/unit/broker_durable_follows.t $(B)/t/unit/broker_deaf_looks.t \
$(B)/t/unit/broker_scribe.t: ROOM_FLAGS = $(APR)

# Those of the C API play httpd and the rest of the module.
OF_API := $(patsubst t/unit/%.c,$(B)/t/unit/%.t,$(wildcard t/unit/api_*.c))
$(OF_API): $(call objects,module,$(wildcard module/api_*.c) module/arguments.c module/context.c module/queue_choice.c module/request_jobs.c)
$(OF_API): ROOM_LIBS = $(APRLIB)
$(OF_API): ROOM_FLAGS = $(HTTPD)
$(B)/t/unit/module_confines.t: ROOM_LIBS = $(APRLIB)
$(B)/t/unit/module_confines.t: ROOM_FLAGS = $(HTTPD)

$(B)/t/unit/%.t: t/unit/%.c $(COMMON) $(CLIENT)
	@mkdir -p $(@D)
	$(call does,CC,$<)$(COMPILE) $(ROOM_FLAGS) $(LDFLAGS) -MF $@.d -pthread -o $@ $< $(filter %.o,$^) -lcmocka -lsqlite3 $(ROOM_LIBS)
	@chmod 755 $@

# ---- the power is cut: CUTS times, from the seed SEED on ----

unit: $(B)/t/crash/cuts

$(B)/t/crash/cuts: t/crash/cuts.c $(COMMON) $(CLIENT) | $(B)/mod_spawn/broker $(B)/t/sync.so
	@mkdir -p $(@D)
	$(call does,CC,$<)$(COMPILE) $(LDFLAGS) -MF $@.d -pthread -o $@ $< $(filter %.o,$^) -lcmocka -lsqlite3
	@chmod 755 $@

test-crash: all $(B)/t/crash/cuts
	@SPAWN_BUILD=$(abspath $(B)) CUTS=$(or $(CUTS),300) SEED=$(or $(SEED),1) $(B)/t/crash/cuts

# ---- a simulation of the broker: its own objects, but for loop and main ----

SIMULATED := $(filter-out $(B)/broker/broker/main.o $(B)/broker/broker/base/loop.o, \
             $(call objects,broker,$(BROKER_C))) \
             $(filter-out $(B)/shared/common/spawn_closer.o,$(COMMON))
WRAPPED   := spawn_mono_ms spawn_mono_us spawn_boot_ms spawn_os_boot_id spawn_wall_ms spawn_os_clock_steps spawn_os_pidfd spawn_os_hangs spawn_os_resident \
             spawn_os_pidfd_signal spawn_os_group_signal spawn_os_group_end spawn_packet_send spawn_packet_receive spawn_packet_receive_with \
             spawn_inbox_put spawn_inbox_launched spawn_inbox_ends spawn_inbox_free spawn_inbox_leave \
             spawn_inbox_waits_again spawn_spool_remove spawn_digest spawn_store_open spawn_id_make spawn_worker_send spawn_worker_signal spawn_submit_own getrandom fsync \
             $(addprefix sqlite3_,prepare_v3 finalize step reset clear_bindings bind_int bind_int64 bind_zeroblob \
             bind_text bind_blob bind_blob64 column_int column_int64 column_type column_bytes column_text column_blob) \
             malloc calloc realloc free strdup mmap munmap _exit abort sched_yield stat lstat truncate \
             posix_spawn posix_spawn_file_actions_adddup2 waitpid getsid getpid getuid geteuid getgid getegid statfs spawn_ledger_there spawn_ledger_mark spawn_scribe_send \
             socket socketpair bind listen connect accept4 shutdown setsockopt getsockopt send sendmsg recv recvmsg poll \
             close dup3 fcntl fstat fchmod read write ioctl splice pipe2 memfd_create ftruncate lseek pread pwrite \
             open openat access unlink unlinkat rename renameat mkdir rmdir posix_fallocate statvfs readlink \
             opendir fdopendir readdir rewinddir closedir inotify_init1 inotify_add_watch inotify_rm_watch
WORLD     := $(call objects,broker,$(filter-out %/loop.c %/begins.c %/ends.c,$(wildcard t/simulation/*.c)))

unit: $(B)/t/simulation/run

# In this order: what lies between begins.o and ends.o is a broker's (body.c).
$(B)/t/simulation/run: $(WORLD) $(call objects,broker,t/simulation/begins.c t/simulation/loop.c) $(SIMULATED) \
                       $(call objects,broker,t/simulation/ends.c)
	@mkdir -p $(@D)
	$(call does,LD,$@)$(LINK) $(patsubst %,-Wl$(comma)--wrap=%,$(WRAPPED)) -o $@ $^ $(APRLIB) -lsqlite3

simulate: $(B)/t/simulation/run
	@$< $(if $(SEED),--seed $(SEED)) --runs $(or $(RUNS),10000)

# ---- the soak: SOAK_MINUTES of trouble, shared by the MPMs; again with SOAK_SEED ----

soak: all probe
	@status=0; seed=$(or $(SOAK_SEED),$$(date +%s)); n=$(words $(or $(MPM),prefork worker event)); for mpm in $(or $(MPM),prefork worker event); do \
	    SPAWN_BUILD=$(B) t/soak/run --seed $$seed --seconds $$(($(or $(SOAK_MINUTES),10) * 60 / n)) --mpm $$mpm || status=1; \
	done; exit $$status

# ---- what the httpd tests run as a job: it looks at bare processes ----

probe: $(B)/t/probe $(B)/t/deny $(B)/t/filecap $(B)/t/clock.so $(B)/t/cpu.so $(B)/t/sync.so $(B)/t/memory.so $(B)/t/inner_malloc.so $(B)/t/marker \
       $(B)/t/mod_capi.so $(B)/t/mod_foreign.so $(B)/t/hangfs $(B)/t/slowfs $(B)/t/stranger $(B)/t/soakjob $(B)/t/broker_with_clock

$(B)/t/stranger: t/probe/stranger.c $(COMMON)
	@mkdir -p $(@D)
	$(call does,CC,$<)$(COMPILE) $(LDFLAGS) -pthread -o $@ $< $(COMMON)

$(B)/t/%: t/probe/%.c
	@mkdir -p $(@D)
	$(call does,CC,$<)$(filter-out $(SAN),$(COMPILE)) $(LDFLAGS) -static -o $@ $<

# preloaded into a broker whose clock a test steps, whose CPU it tells, whose disk it
# spoils, or whose memory runs out; loaded into a template that finds a malloc in it

$(B)/t/clock.so $(B)/t/cpu.so $(B)/t/sync.so $(B)/t/memory.so $(B)/t/inner_malloc.so: $(B)/t/%.so: t/probe/%.c
	@mkdir -p $(@D)
	$(call does,CC,$<)$(filter-out $(SAN),$(COMPILE)) $(LDFLAGS) -shared -fPIC -o $@ $<
	@chmod 755 $@

# The broker of a soak, whose clock is stepped: its spawner gives it no environment.

$(B)/t/broker_with_clock: $(call objects,broker,$(BROKER_C) t/probe/clock.c) $(COMMON)
	@mkdir -p $(@D)
	$(call does,LD,$@)$(LINK) -o $@ $^ $(APRLIB) -lsqlite3
	@chmod 755 $@

# a module that forks daemons which turn against us

$(B)/t/mod_foreign.so: $(B)/module/t/probe/mod_foreign.o $(COMMON)
	@mkdir -p $(@D)
	$(call does,LD,$@)$(LINK) -shared -fPIC -Wl,-Bsymbolic -o $@ $^
	@chmod 755 $@

# a module that uses the C API, and sees nothing of ours but mod_spawn.h

$(B)/t/mod_capi.so: $(B)/module/t/probe/mod_capi.o
	@mkdir -p $(@D)
	$(call does,LD,$@)$(LINK) -shared -fPIC -pthread -o $@ $^
	@chmod 755 $@

# ---- what the benchmarks run beside httpd and as jobs ----

bench-programs: $(patsubst %,$(B)/bench/%,fork_frozen handed load message peer recorded start starter sleeper spin stamp tiny)

$(B)/bench/start $(B)/bench/starter $(B)/bench/sleeper $(B)/bench/spin $(B)/bench/stamp $(B)/bench/tiny: BENCH_STATIC := -static
$(B)/bench/recorded: BENCH_LIBS := -Wl,--no-as-needed -lsqlite3
$(B)/bench/fork_frozen: BENCH_LIBS = $(PERLCC) -Wl,--no-as-needed $(shell $(PERL) -MExtUtils::Embed -e ldopts)

$(B)/bench/%: bench/c/%.c
	@mkdir -p $(@D)
	$(call does,CC,$<)$(COMPILE) $(LDFLAGS) $(BENCH_STATIC) $(BENCH_LIBS) -o $@ $<
	@chmod 755 $@

# ---- fuzzing: libFuzzer on the parsers ----

FUZZERS := $(patsubst t/fuzz/%.c,$(B)/fuzz/%,$(wildcard t/fuzz/*.c))

$(B)/fuzz/%: t/fuzz/%.c $(COMMON_C) $(wildcard common/*.h)
	@mkdir -p $(@D)
	$(call does,CC,$<)clang $(WARN) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -o $@ $< $(COMMON_C)

fuzz: $(FUZZERS)
	@t/fuzz/run $(FUZZ_SECONDS) $(FUZZERS)

# ---- would the tests notice? MUTANTS="files" for some ----

mutants:
	@t/mutants/run $(MUTANTS)

# ---- lint: cppcheck and clang-tidy, as .cppcheck and .clang-tidy say ----

LINTED := $(wildcard mod_spawn.c spawner/*.c common/*.c broker/*.c broker/*/*.c relay/*.c client/*.c ctl/*.c module/*.c module/status/*.c)

lint: $(B)/module/status/status_files.h
	@cppcheck -q --std=c11 --enable=warning,performance,portability --error-exitcode=1 -I. \
	    --suppressions-list=.cppcheck $(LINTED)
	@printf '%s\n' $(LINTED) | xargs -P $$(nproc) -n 1 sh -c 'clang-tidy --quiet "$$@" -- -std=gnu11 -D_GNU_SOURCE -I. -I$(B)/module/status $(HTTPD)' lint

# ---- a release, and Debian's packages of it ----

dist:
	@packaging/dist $(B)/dist

# The manual, which install-docs puts beside the documents.
docs:
	@packaging/install-deps docs
	@$(MAKE) --no-print-directory manual

manual:
	@packaging/manual/build "$(B)/manual"

deb:
	@packaging/install-deps packages
	@packaging/deb $(B)/deb

rpm:
	@packaging/rpm/build $(B)/rpm

# ---- install: these modes under any umask ----

DIR  := install -d -m 755
FILE := install -m 644
PROG := install -m 755

RELEASE    = $(shell sed -n 's/.*SPAWN_RELEASE "\(.*\)".*/\1/p' common/spawn_release.h)
PERL_FILES = $(patsubst $(B)/perl/%,%,$(PM) $(XS_SPAWN) $(XS_HTTPD) $(XS_TEMPLATE) $(XS_PROCESS) $(XS_SERVE))
PERL_PROGRAMS = $(patsubst $(B)/perl/%,%,$(WAITER))
MAN3       = $(subst /,::,$(patsubst $(B)/perl/%,%.3pm,$(basename $(PM))))

# Pages, and what they show or name: each link of them leads to a file there, too.
PAGES      = README.md CHANGES LICENSE CONTRIBUTING.md $(wildcard docs/*.md docs/*.json docs/images/* \
             bench/README.md bench/charts/* examples/c/*.c packaging/docker/* packaging/prometheus/* \
             packaging/systemd/*)
RELEASED   = $(shell sed -n 's/.*SPAWN_RELEASED "\(.*\)".*/\1/p' common/spawn_release.h)

UNITS      = mod_spawn.service mod_spawn.socket

# Without one of them files would land in the root directory.
places = $(foreach v,HTTPD_MODULES HTTPD_INCLUDE PERL_ARCH,$(if $($(v)),,$(error \
           $(v) is not known: apxs or perl did not say; give $(v)=/some/directory)))

install: all
	$(places)$(DIR) "$(DESTDIR)$(HTTPD_MODULES)/mod_spawn" "$(DESTDIR)$(HTTPD_INCLUDE)"
	$(FILE) $(B)/mod_spawn.so "$(DESTDIR)$(HTTPD_MODULES)/mod_spawn.so"
	$(PROG) $(B)/mod_spawn/spawner $(B)/mod_spawn/broker $(filter $(B)/mod_spawn/relay,$(PROGRAMS)) "$(DESTDIR)$(HTTPD_MODULES)/mod_spawn/"
	$(FILE) mod_spawn.h "$(DESTDIR)$(HTTPD_INCLUDE)/mod_spawn.h"
	@set -e; for file in $(PERL_FILES); do \
	    echo "$(FILE) $(B)/perl/$$file $(DESTDIR)$(PERL_ARCH)/$$file"; \
	    $(DIR) "$$(dirname "$(DESTDIR)$(PERL_ARCH)/$$file")"; \
	    $(FILE) "$(B)/perl/$$file" "$(DESTDIR)$(PERL_ARCH)/$$file"; \
	done
	$(PROG) $(B)/perl/$(PERL_PROGRAMS) "$(DESTDIR)$(PERL_ARCH)/$(PERL_PROGRAMS)"
	$(DIR) "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(MANDIR)/man1" "$(DESTDIR)$(MANDIR)/man3" "$(DESTDIR)$(MANDIR)/man8"
	$(PROG) $(B)/spawnctl "$(DESTDIR)$(BINDIR)/spawnctl"
	$(FILE) ctl/spawnctl.1 "$(DESTDIR)$(MANDIR)/man1/spawnctl.1"
	$(FILE) module/mod_spawn.8 "$(DESTDIR)$(MANDIR)/man8/mod_spawn.8"
	$(DIR) "$(DESTDIR)$(BASHCOMPDIR)" "$(DESTDIR)$(ZSHCOMPDIR)"
	$(FILE) packaging/completion/spawnctl.bash "$(DESTDIR)$(BASHCOMPDIR)/spawnctl"
	$(FILE) packaging/completion/_spawnctl "$(DESTDIR)$(ZSHCOMPDIR)/_spawnctl"
	@set -e; for page in $(MAN3); do \
	    module=$${page%.3pm}; to="$(DESTDIR)$(MANDIR)/man3/$$page"; \
	    file="perl/lib/$$(echo "$$module" | sed 's,::,/,g')"; \
	    echo "pod2man $$module $$to"; \
	    pod2man --section=3pm --name="$$module" --center=mod_spawn --release="$(RELEASE)" --date="$(RELEASED)" \
	        "$$(ls "$$file.pm" "$$file.pod" 2>/dev/null)" "$$to"; \
	    chmod 644 "$$to"; \
	done
	@set -e; for file in $(PAGES); do \
	    echo "$(FILE) $$file $(DESTDIR)$(DOCDIR)/$$file"; \
	    $(DIR) "$$(dirname "$(DESTDIR)$(DOCDIR)/$$file")"; \
	    $(FILE) "$$file" "$(DESTDIR)$(DOCDIR)/$$file"; \
	done
ifneq ($(UNITDIR),)
	$(DIR) "$(DESTDIR)$(UNITDIR)"
	@set -e; for unit in $(UNITS); do \
	    to="$(DESTDIR)$(UNITDIR)/$$unit"; \
	    echo "sed packaging/systemd/$$unit >$$to"; \
	    sed 's,/usr/lib/apache2/modules/mod_spawn/,$(HTTPD_MODULES)/mod_spawn/,; s,/usr/local/share/doc/mod_spawn/,$(DOCDIR)/,' \
	        packaging/systemd/$$unit >"$$to"; \
	    chmod 644 "$$to"; \
	done
endif

# Below DOCDIR, which uninstall removes.
install-docs: manual
	@set -e; (cd "$(B)/manual" && find . -type f) | sort | while read -r file; do \
	    $(DIR) "$(DESTDIR)$(DOCDIR)/html/$$(dirname "$$file")"; \
	    $(FILE) "$(B)/manual/$$file" "$(DESTDIR)$(DOCDIR)/html/$$file"; \
	done

# Directories that others may use too go when they are empty.
uninstall:
	$(places)rm -rf "$(DESTDIR)$(HTTPD_MODULES)/mod_spawn" "$(DESTDIR)$(DOCDIR)"
	rm -f "$(DESTDIR)$(HTTPD_MODULES)/mod_spawn.so" "$(DESTDIR)$(HTTPD_INCLUDE)/mod_spawn.h"
	rm -f "$(DESTDIR)$(BINDIR)/spawnctl" "$(DESTDIR)$(MANDIR)/man1/spawnctl.1" "$(DESTDIR)$(MANDIR)/man8/mod_spawn.8"
	rm -f "$(DESTDIR)$(BASHCOMPDIR)/spawnctl" "$(DESTDIR)$(ZSHCOMPDIR)/_spawnctl"
	rm -f $(foreach page,$(MAN3),"$(DESTDIR)$(MANDIR)/man3/$(page)")
	rm -f $(foreach file,$(PERL_FILES) $(PERL_PROGRAMS),"$(DESTDIR)$(PERL_ARCH)/$(file)")
ifneq ($(UNITDIR),)
	rm -f $(foreach unit,$(UNITS),"$(DESTDIR)$(UNITDIR)/$(unit)")
endif
	@cd "$(DESTDIR)$(PERL_ARCH)" && rmdir -p $(sort $(dir $(PERL_FILES))) 2>/dev/null || true

clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
