//go:build !amd64 && !arm64

package confine

import (
	"fmt"
	"runtime"
)

func filterCalls() error { return fmt.Errorf("not available on %s", runtime.GOARCH) }
