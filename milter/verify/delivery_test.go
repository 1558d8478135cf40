package verify

import (
	"slices"
	"strings"
	"testing"
)

func TestProtocol(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]struct {
		with string
		tls  bool
	}{
		" from a (a. [192.0.2.1])\r\n by mx.google.com with ESMTPS id x\r\n for <b@c> (version=TLS1_3 cipher=TLS_AES_128 bits=128/128); Mon": {"ESMTPS", true},
		" from a (a [192.0.2.1]) (using TLSv1.3 with cipher X (256/256 bits)) by mx (Postfix) with ESMTPS id x":                              {"ESMTPS", true},
		" from a (a [192.0.2.1]) by mx (Postfix) with ESMTP id x; Mon":                                                                       {"ESMTP", false},
		" from a (a [192.0.2.1]) by mx with ESMTPSA id x":                                                                                    {"ESMTPSA", true},
		" from a (a [192.0.2.1]) by mx with ESMTPA id x":                                                                                     {"ESMTPA", false},
		" from a (EHLO b) (192.0.2.1) by x.yahoo.com with SMTPs (version=TLS1_3 cipher=X); Mon":                                              {"SMTPs", true},
		" from a (192.0.2.1) by b with Microsoft SMTP Server (version=TLS1_2, cipher=X) id 15; Mon":                                          {"", true},
		" from a (192.0.2.1) by b with MAPI id 15":                                                                                           {"", false},
		" from tls (tls [192.0.2.1]) by b with SMTP":                                                                                         {"SMTP", false},
		" from a (with ESMTPS [192.0.2.1]) by b":                                                                                             {"", false},
		" from a (a [192.0.2.1]) by b with":                                                                                                  {"", false},
		"":                                                                                                                                   {"", false},
	} {
		if with, tls := protocol(value); with != want.with || tls != want.tls {
			t.Errorf("%q: %q, %v", value, with, tls)
		}
	}
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	m, err := Read(strings.NewReader("Received: from localhost (localhost [127.0.0.1]) by mx with ESMTP\r\n" +
		"Received: from out.example (out.example [198.51.100.7]) by gate with ESMTPS\r\n" +
		"From: a@example.org\r\nX-A: 1\r\nx-a : 2\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	d, ok := m.Delivery()
	if !ok || d.IP.String() != "198.51.100.7" || d.With != "ESMTPS" || !d.TLS {
		t.Errorf("got %+v", d)
	}
	if got := m.Values("x-a"); !slices.Equal(got, []string{" 1", " 2"}) {
		t.Errorf("got %q", got)
	}
}
