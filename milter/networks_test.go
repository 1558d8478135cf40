package milter

import (
	"fmt"
	"testing"
)

func TestParseNetworks(t *testing.T) {
	got, err := ParseNetworks("10.1.2.3/8, [::1]/128 192.0.2.1\t::ffff:10.0.0.0/104,fd00::1")
	if want := "[10.0.0.0/8 ::1/128 192.0.2.1/32 10.0.0.0/8 fd00::1/128]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v, want %s", got, err, want)
	}
	if got, err := ParseNetworks("none"); err != nil || len(got) != 0 {
		t.Errorf("none is %v, %v, want no network", got, err)
	}
	if _, err := ParseNetworks("none,10.0.0.0/8"); err == nil {
		t.Error("none stands beside a network")
	}
}
