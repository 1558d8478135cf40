package main

import (
	"strings"
	"testing"
)

func TestOptionsThatWouldMeasureNothing(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"-parts direkt", `-parts "direkt": want some of direct,postfix,scale,redis`},
		{"-peers sendmail", `-peers "sendmail": want some of`},
		{"-layouts round", `-layouts "round": want some of flat,folder`},
		{"-only 5KiB", `-only "5KiB": no scenario`},
		{"-rounds 0", "-rounds 0"},
		{"4KiB", `argument "4KiB"`},
	} {
		if err := run(strings.Fields(test.args)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.args, err, test.want)
		}
	}
}
