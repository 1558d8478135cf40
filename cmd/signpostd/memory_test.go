package main

import "testing"

// With many domains garbage is a small part of what lives, and while their keys are read not
// more than those will take.
func TestGarbagePercent(t *testing.T) {
	for _, test := range []struct{ domains, unread, least, most int }{
		{0, 0, 50, 50},
		{1000, 0, 50, 50},
		{100_000, 0, 10, 10},
		{100_000, 100_000, 100, 150},
		{100_000, 50_000, 30, 50},
		{100_000, 1, 10, 10},
		{999_999, 999_999, 100, 150},
	} {
		if got := garbagePercent(test.domains, test.unread); got < test.least || got > test.most {
			t.Errorf("%d domains, %d unread: %d%%, want %d to %d", test.domains, test.unread, got, test.least, test.most)
		}
	}
}
