package finding

import "testing"

func TestVisible(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		most int
		want string
	}{
		{"", 0, ""}, {"a", 0, "… (1 more bytes)"}, {"aü", 2, "aü"}, {"aüb", 2, "aü… (1 more bytes)"},
		{"\x1b[31m\u202e\u009b\xff\n\U000e0001", 99, `\x1b[31m\u202e\u009b\xff\n\U000e0001`},
		{`"<script>\`, 99, `"<script>\`},
	} {
		if got := Visible(test.text, test.most); got != test.want {
			t.Errorf("%q, %d: got %s, want %s", test.text, test.most, got, test.want)
		}
	}
}
