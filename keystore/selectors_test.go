package keystore

import "testing"

// The first eight are what the boky/postfix image does with DKIM_SELECTOR.
func TestSelectors(t *testing.T) {
	const several = "xxx,example.org=yyy,example.com=zzz"
	for _, test := range []struct{ setting, domain, want string }{
		{"", "", "mail"},
		{"xxx", "", "xxx"},
		{several, "", "xxx"},
		{several, "example.org", "yyy"},
		{several, "example.com", "zzz"},
		{several + ",bbb,aaa", "example.net", "aaa"},
		{"example.com=bbb", "example.com", "bbb"},
		{"example.com=bbb", "example.net", "mail"},
		{"example.org=a,example.org=b", "example.org", "a"},
		{" foo , Example.ORG = Bar ", "example.org", "bar"},
		{"münchen.example=m", "xn--mnchen-3ya.example", "m"},
	} {
		selectors, err := ParseSelectors(test.setting)
		if err != nil {
			t.Errorf("ParseSelectors(%q): %v", test.setting, err)
			continue
		}
		if got := selectors.For(test.domain); got != test.want {
			t.Errorf("with %q, For(%q) = %q, want %q", test.setting, test.domain, got, test.want)
		}
	}
	for _, setting := range []string{"a b", "example.org=", "=mail", "exa mple.org=x", "a;b"} {
		if _, err := ParseSelectors(setting); err == nil {
			t.Errorf("ParseSelectors(%q) succeeded", setting)
		}
	}
}
