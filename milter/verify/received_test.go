package verify

import "testing"

func TestParseReceived(t *testing.T) {
	tests := []struct{ value, helo, ip string }{
		{" from mail.example.org (mail.example.org [192.0.2.1])\r\n\tby mx.example.net (Postfix) with ESMTPS id 4X\r\n\tfor <a@b>; Sun, 22 Nov", "mail.example.org", "192.0.2.1"},
		{" from helo.example (unknown [IPv6:2001:db8::1]) (using TLSv1.3 with cipher X (256/256 bits)) by mx", "helo.example", "2001:db8::1"},
		{" from [192.0.2.7] (helo=client.example) by mx with esmtp (Exim 4.96)", "client.example", "192.0.2.7"},
		{" from mail.example ([192.0.2.8] helo=other.example) by mx with esmtps", "other.example", "192.0.2.8"},
		{" from mail-yw1-f180.example.com (mail-yw1-f180.example.com. [209.85.128.180])\n        by mx.example.com with ESMTPS id x", "mail-yw1-f180.example.com", "209.85.128.180"},
		{" from AB.outlook.example (2603:10a6:20b:3c::5) by CD.outlook.example (2603:10a6::6) with Microsoft SMTP Server", "AB.outlook.example", "2603:10a6:20b:3c::5"},
		{" from unknown (HELO box.example) (192.0.2.9) by mx with SMTP", "box.example", "192.0.2.9"},
		// The client says HELO and answers ident, and would choose the address.
		{" from [192.0.2.7] (helo=[198.51.100.1]) by mx with esmtp (Exim 4.96)", "[198.51.100.1]", "192.0.2.7"},
		{" from [192.0.2.7] (port=25 helo=x ident=[198.51.100.1]) by mx with esmtp", "x", "192.0.2.7"},
		{" from unknown (HELO [198.51.100.1]) (192.0.2.9) by mx with SMTP", "[198.51.100.1]", "192.0.2.9"},
		{" from unknown (HELO 198.51.100.1) (192.0.2.9) by mx with SMTP", "198.51.100.1", "192.0.2.9"},
		{" from unknown (HELO HELO) (192.0.2.9) by mx with SMTP", "HELO", "192.0.2.9"},
		{" FROM h (user@name [192.0.2.10]) BY mx", "h", "192.0.2.10"},
		{" from h ([::ffff:192.0.2.11]) by mx", "h", "192.0.2.11"},
		{" from h (name [fe80::1%eth0]) by mx", "h", "fe80::1"},
		{" from by (by.example [192.0.2.12]) by mx", "by", "192.0.2.12"},
		{" by mx.example with SMTP id x; Sun, 22 Nov", "", ""},
		{" (from userid 0) by mx (Postfix) id x", "", ""},
		{" from localhost by mx (mx [192.0.2.13]) with LMTP", "", ""},
		{" from h (name [300.0.2.1]) by mx", "", ""},
		{" from", "", ""},
		{"", "", ""},
	}
	for _, test := range tests {
		c, ok := parseReceived(test.value)
		if ok != (test.ip != "") || ok && (c.helo != test.helo || c.ip.String() != test.ip) {
			t.Errorf("%q: got %q %v, want %q %s", test.value, c.helo, c.ip, test.helo, test.ip)
		}
	}
}

func TestTopClient(t *testing.T) {
	message := "Received: by mx.example with LMTP id 1\r\n" +
		"Received: from localhost (localhost [127.0.0.1]) by mx with ESMTP\r\n" +
		"Received: from gate.lan (gate.lan [10.0.0.1]) by mx with ESMTP\r\n" +
		"Received: from out.example (out.example [198.51.100.7]) by gate with ESMTP\r\n" +
		"Received: from forged.example (forged.example [203.0.113.7]) by out with ESMTP\r\n" +
		"Return-Path: <>\r\n" +
		"From: a@example.org\r\n\r\n"
	j := judge(t, message, Options{Source: zone(t, "ed25519", "")})
	e := j.SPF.Envelope
	if e.IP.String() != "198.51.100.7" || e.Helo != "out.example" || e.MailFrom != NullSender || j.SPF.Sender != "postmaster@out.example" {
		t.Errorf("got %+v, %s", e, j.SPF.Sender)
	}
}
