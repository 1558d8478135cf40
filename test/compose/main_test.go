// Package compose_test starts the compose files for real, each under a project
// name, in a folder and on ports of its own, and looks at the mail that comes
// out and at the containers.
//
// A container engine is needed; it is started when it is not up. Where there
// cannot be one, SIGNPOST_NO_CONTAINERS=1 says that these tests are not wanted.
package compose_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An engine is how to call the container engine.
type engine struct {
	docker  string   // the client
	compose []string // docker-compose, or docker compose
}

func TestMain(m *testing.M) {
	if os.Getenv("SIGNPOST_NO_CONTAINERS") == "1" {
		fmt.Println("compose: CONTAINER TESTS NOT RUN, because SIGNPOST_NO_CONTAINERS=1")
		return
	}
	if err := buildImages(); err != nil {
		fmt.Println("compose: error:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// findEngine looks as the Makefile does, and starts an engine when none is up.
func findEngine() (engine, error) {
	found, err := inRoot("sh", "-c", `. docker/engine.sh; find_engine >&2 && printf '%s\n' "$docker" "$compose"`).Output()
	docker, compose, _ := strings.Cut(string(found), "\n")
	if err != nil || compose == "" {
		return engine{}, errors.New("no container engine; hint: SIGNPOST_NO_CONTAINERS=1 leaves out the container tests")
	}
	return engine{docker: docker, compose: strings.Fields(compose)}, nil
}

// buildImages builds the images and the probe.
func buildImages() error {
	if _, err := findEngine(); err != nil {
		return err
	}
	images := inRoot("make", "--silent", "images")
	images.Env = append(os.Environ(), "MAKEFLAGS=", "MFLAGS=")
	images.Stderr = nil
	if out, err := images.CombinedOutput(); err != nil {
		return fmt.Errorf("building the images: %w\n%s", err, out)
	}
	return nil
}

// inRoot prepares a command that runs where the Makefile is.
func inRoot(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir = filepath.Join("..", "..")
	c.Stderr = os.Stderr
	return c
}
