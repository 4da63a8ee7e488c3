/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls_why.c - why it did not work, in words of those who configure it. */
#include "tls_impl.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#define NAMES_SHOWN 8

const char *
tls_why_queue(void)
{
	unsigned long e = ERR_get_error();
	const char *why = ERR_reason_error_string(e);

	ERR_clear_error();
	return why                             ? why
	       : ERR_GET_LIB(e) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(e))
					       : "failed";
}

void
tls_why_time(const ASN1_TIME *t, char text[32])
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(t, &tm) || !strftime(text, 32, "%Y-%m-%d %H:%M:%S UTC", &tm))
		strcpy(text, "an unknown time");
}

/* ---- certificates: what is in them is anybody's, until verified --------------------- */

struct text {
	char *p;
	size_t len, cap;
};

static void
put(struct text *t, const char *s, size_t n)
{
	for (; n && t->len + 1 < t->cap; n--, s++)
		t->p[t->len++] = (char)(*s >= ' ' && *s <= '~' ? *s : '?');
	t->p[t->len] = '\0';
}

static void
puts_text(struct text *t, const char *s)
{
	put(t, s, strlen(s));
}

static void
put_name(struct text *t, const X509_NAME *name)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p;
	long n;

	if (!b)
		return;
	X509_NAME_print_ex(b, name, 0, XN_FLAG_ONELINE);
	n = BIO_get_mem_data(b, &p);
	put(t, p, n > 0 ? (size_t)n : 0);
	BIO_free(b);
}

/* Of a kind that a name is compared with; returns whether there is one. */
static bool
put_alt(struct text *t, const GENERAL_NAME *g)
{
	const ASN1_OCTET_STRING *s = g->d.ip;
	char ip[INET6_ADDRSTRLEN];
	int len;

	if (g->type != GEN_DNS && g->type != GEN_IPADD)
		return false;
	len = ASN1_STRING_length(s);
	if (g->type == GEN_DNS)
		put(t, (const char *)ASN1_STRING_get0_data(s), (size_t)len);
	else if ((len == 4 || len == 16) && inet_ntop(len == 4 ? AF_INET : AF_INET6,
						      ASN1_STRING_get0_data(s), ip, sizeof(ip)))
		puts_text(t, ip);
	return true;
}

static void
put_names(struct text *t, const X509 *x)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	unsigned shown = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(all) && shown <= NAMES_SHOWN; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

		if (g->type == GEN_DNS || g->type == GEN_IPADD)
			puts_text(t, shown ? ", " : "");
		if (shown == NAMES_SHOWN)
			puts_text(t, "...");
		else if (!put_alt(t, g))
			continue;
		shown++;
	}
	GENERAL_NAMES_free(all);
	if (shown)
		return;
	puts_text(t, "no name at all (the subject ");
	put_name(t, X509_get_subject_name(x));
	puts_text(t, " is none)");
}

static void
put_dated(struct text *t, const X509 *x, bool expired)
{
	char when[32];

	tls_why_time(expired ? X509_get0_notAfter(x) : X509_get0_notBefore(x), when);
	puts_text(t, "the certificate of ");
	put_name(t, X509_get_subject_name(x));
	puts_text(t, expired ? " expired at " : " is not valid before ");
	puts_text(t, when);
}

static void
put_unknown(struct text *t, const X509 *x)
{
	puts_text(t, "the certificate of ");
	put_name(t, X509_get_subject_name(x));
	puts_text(t, " is from an authority that tls_ca does not name: ");
	put_name(t, X509_get_issuer_name(x));
}

void
tls_why_doubt(X509_STORE_CTX *xs, const char *name, char text[TLS_TEXT])
{
	const X509 *x = X509_STORE_CTX_get_current_cert(xs);
	struct text t = { text, 0, TLS_TEXT };
	int error = X509_STORE_CTX_get_error(xs);

	switch (x ? error : X509_V_ERR_UNSPECIFIED) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		puts_text(&t, "its certificate is not for ");
		puts_text(&t, name);
		puts_text(&t, " but for ");
		put_names(&t, x);
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		put_dated(&t, x, error == X509_V_ERR_CERT_HAS_EXPIRED);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		put_unknown(&t, x);
		break;
	default:
		puts_text(&t, "its certificate is not valid: ");
		puts_text(&t, X509_verify_cert_error_string(error));
	}
}

/* ---- what else can go wrong ------------------------------------------------------------ */

/* An alert the peer has sent: it does not want us. */
static void
alert(int number, bool asked, bool have, char text[TLS_TEXT])
{
	/* OpenSSL 3.0 has no words for one of TLS 1.3's */
	const char *what = number == SSL_AD_CERTIFICATE_REQUIRED
				   ? "certificate required"
				   : SSL_alert_desc_string_long(number);
	const char *hint = "";

	if (number == SSL_AD_PROTOCOL_VERSION)
		hint = "; it may not know TLS 1.2";
	else if (asked && !have)
		hint = "; it demands a client certificate, and tls_cert is not given";
	else if (asked)
		hint = "; it does not accept the certificate in tls_cert";
	snprintf(text, TLS_TEXT, "it refused with the alert '%s'%s", what, hint);
}

bool
tls_why_error(bool asked, bool have, char text[TLS_TEXT])
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_REASON(e);

	if (ERR_GET_LIB(e) != ERR_LIB_SSL)
		return false;
	if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
		alert(reason - SSL_AD_REASON_OFFSET, asked, have, text);
		return true;
	}
	switch (reason) {
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		return false;
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_UNKNOWN_PROTOCOL:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
		snprintf(text, TLS_TEXT, "it does not speak TLS (%s)",
			 ERR_reason_error_string(e));
		return true;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
		snprintf(text, TLS_TEXT, "it wants an older TLS than 1.2");
		return true;
	}
	snprintf(text, TLS_TEXT, "%s",
		 ERR_reason_error_string(e) ? ERR_reason_error_string(e) : "a protocol error");
	return true;
}
