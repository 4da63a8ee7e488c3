noinst_LIBRARIES += libctflow.a
libctflow_a_SOURCES = core/field.c core/field.h core/builtin_table.h
libctflow_a_SOURCES += core/conf.c core/conf.h core/diag.c core/diag.h core/nearest.c \
	core/nearest.h core/opt.c core/opt.h \
	core/opt_print.c core/log.c core/log.h core/metrics.c core/metrics.h core/err.c core/fmt.c \
	core/boot.c core/clock.c core/hash.c
libctflow_a_SOURCES += core/expr.c core/expr.h core/expr_eval.c core/expr_lex.c core/expr_parse.c \
	core/expr_parse.h core/expr_set.c core/expr_test.c core/expr_value.c
libctflow_a_SOURCES += core/filters.c
libctflow_a_SOURCES += core/packets.c core/packets.h core/split.c core/split.h
libctflow_a_SOURCES += core/background.c core/background.h core/batch.c core/batch.h core/cli.c \
	core/cli.h core/ctx.c core/ctx.h core/daemon.c core/daemon.h core/doubt.c core/elfnote.c core/encoder.c \
	core/graph.c core/graph.h core/info.c core/info.h core/kept.c core/kept.h \
	core/kept_cover.c core/kept_sink.c core/known_table.h core/loop.c \
	core/loop.h core/pidfile.c core/pidfile.h core/plan.c core/plugin.c core/plugin.h \
	core/noexec.c core/noexec.h core/nowrite.c core/nowrite.h core/priv.c core/priv.h core/pump.c core/pump.h core/queue.c core/queue.h core/run.c \
	core/run.h core/setup.c core/setup.h core/settle.c core/sink.c core/sink.h core/state.c core/state.h \
	core/state_page.c core/state_page.h core/state_look.c core/state_look.h core/pulse.c core/pulse.h \
	core/spare.c \
	core/backlog.c core/state_file.c core/state_file.h core/stop.c core/wire.c \
	core/worker.c
libctflow_a_SOURCES += core/several.c core/remake.c
libctflow_a_SOURCES += core/may_write.c core/run_ask.c core/reload.c core/reload.h core/reload_leave.c core/reload_move.c core/reload_filter.c \
	core/reload_read.c core/reload_same.c
libctflow_a_SOURCES += core/crc32c.c core/frame_io.c core/frame_io.h core/notify.c core/notify.h
libctflow_a_SOURCES += core/handover.c core/handover.h core/heritage.c core/legacy.c
libctflow_a_SOURCES += core/segment.c core/segment.h core/segment_read.c core/spool_head.c \
	core/spool_head.h core/spool_dir.c core/spool_dir.h core/spool_left.c core/spool.c core/spool.h core/spool_own.h \
	core/spool_begin.c core/spool_load.c core/spool_write.c core/kept_spool.c

pkgconfigdir = $(libdir)/pkgconfig
nodist_pkgconfig_DATA = core/ctflowd.pc
ctflowincludedir = $(includedir)/ctflow
ctflowinclude_HEADERS = core/include/ctflow/plugin.h core/include/ctflow/expr.h \
	core/include/ctflow/record.h core/include/ctflow/frame.h core/include/ctflow/report.h core/include/ctflow/legacy.h

sbin_PROGRAMS += ctflowd
ctflowd_SOURCES = core/main.c
# WHOLE: plugins in modules call back into the daemon, so all of the core is in it.
ctflowd_LDADD = $(WHOLE) $(PLUGIN_LIBS) $(MNL_LIBS) $(NFCT_LIB_LIBS)
ctflowd_LDFLAGS = $(AM_LDFLAGS) -pie -rdynamic -Wl,--as-needed
ctflowd_DEPENDENCIES = libctflow.a libplugins.a
