# CTF_PLUGIN(name, NAME, pkg-config module or nothing, optional or nothing)
# --with-plugin-name=yes (linked in), shared (loadable) or no.  What needs a
# library of its own is loadable by default, so the base daemon stays small;
# what is optional is left out where its library is missing, unless asked for.
AC_DEFUN([CTF_PLUGIN], [
  m4_pushdef([ctf_default], m4_ifval([$3], [shared], [yes]))dnl
  AC_ARG_WITH([plugin-$1],
    [AS_HELP_STRING([--with-plugin-$1=yes|shared|no], ctf_default)],
    [ctf_plugin_$1=$withval], [m4_ifval([$4],
      [PKG_CHECK_EXISTS([$3], [ctf_plugin_$1=]ctf_default, [ctf_plugin_$1=no])],
      [ctf_plugin_$1=]ctf_default)])
  m4_popdef([ctf_default])dnl
  AS_CASE([$ctf_plugin_$1], [yes|shared|no], [],
    [AC_MSG_ERROR([--with-plugin-$1: yes, shared or no, not '$ctf_plugin_$1'])])
  m4_ifval([$3], [AS_IF([test "$ctf_plugin_$1" != no], [PKG_CHECK_MODULES([$2], [$3])])],
    [AC_SUBST([$2_CFLAGS], []) AC_SUBST([$2_LIBS], [])])
  AS_IF([test "$ctf_plugin_$1" = yes], [AC_DEFINE([BUILTIN_$2], [1], [$2 is linked in])])
  m4_ifval([$4], [], [AS_CASE([$ctf_plugin_$1], [no], [ctf_all=no])])
  m4_ifval([$3], [], [AS_CASE([$ctf_plugin_$1], [yes], [], [ctf_stock=no])])
  AM_CONDITIONAL([BUILTIN_$2], [test "$ctf_plugin_$1" = yes])
  AM_CONDITIONAL([SHARED_$2], [test "$ctf_plugin_$1" = shared])
])

# CTF_FLAG(VARIABLE, flags...) adds each flag the compiler knows.
AC_DEFUN([CTF_FLAG], [
  m4_foreach_w([ctf_flag], [$2],
    [AX_CHECK_COMPILE_FLAG(ctf_flag, [AS_VAR_APPEND([$1], [" ctf_flag"])], [], [-Werror])])
])
