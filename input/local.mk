# One word per plugin (build-aux/plugins.sh).
input_PLUGINS = nfct replay
ct_files = input/ct_decode.c input/ct_decode.h input/ct_attr.c input/ct_attr.h \
	input/ct_shape.c input/ct_shape.h input/ct_end.c input/ct_times.c input/ct_times.h input/ct_ident.c input/ct_entry.c input/ct_plan.c input/ct_raw.h \
	input/pcap.c input/pcap.h
nfct_files = input/nfct.h input/nfct_burst.c input/nfct_burst.h input/nfct_start.c input/nfct_loss.c input/nfct_sock.c \
	input/nfct_sock.h input/nfct_req.c input/nfct_diag.c input/nfct_diag.h \
	input/nfct_sysctl.c input/nfct_sysctl.h input/nfct_bpf.c input/nfct_bpf.h input/nfct_bpf_gen.c input/nfct_bpf_gen.h \
	input/nfct_select.c input/nfct_select.h \
	input/nfct_netns.c input/nfct_netns.h input/nfct_ns.c input/nfct_ns.h \
	input/nfct_hand.c input/nfct_hand.h input/nfct_ns_name.c input/nfct_ns_left.c input/nfct_valve.c input/nfct_valve.h \
	input/nfct_cover.c input/nfct_cover.h input/nfct_clock.c input/nfct_clock.h \
	input/nfct_host.c input/nfct_host.h input/nfct_host_ask.c \
	input/nfct_probe.c input/nfct_probe.h input/nfct_probe_child.c \
	input/nfct_sweep.c input/nfct_sweep.h input/nfct_table.c input/nfct_ask.c
nfct_files += input/nfct_stats.c input/nfct_stats.h \
	input/nfct_repeat.c input/nfct_repeat.h input/nfct_whose.c input/keyset.c \
	input/keyset.h input/keyring.c input/keyring.h input/ticker.h
nfct_files += input/nfct_guard.c input/nfct_guard_greet.c input/nfct_guard_proc.c input/nfct_guard.h
nfct_extra = $(nfct_files)
nfct_common = $(ct_files)
nfct_libs = $(MNL_LIBS)
replay_common = $(ct_files)

libplugins_a_SOURCES += $(ct_files)
nfct_files += input/nfct_policy.c input/nfct_outage.c input/nfct_outage.h \
	input/nfct_times.c input/nfct_times.h input/nfct_reload.c
