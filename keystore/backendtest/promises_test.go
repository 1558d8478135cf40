package backendtest_test

import (
	"testing"

	"signpost/keystore"
	"signpost/keystore/backendtest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	backendtest.Run(t, func(*testing.T) func() keystore.Backend {
		m := new(backendtest.Memory)
		return func() keystore.Backend { return m }
	})
}
