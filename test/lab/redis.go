package lab

import "os/exec"

// Redis makes a command that runs a Redis server. Debian has the program in redis-tools,
// under the name of a part of it, and redis-server beside that only starts it as a service.
func Redis(args ...string) *exec.Cmd {
	cmd := exec.Command("redis-check-rdb", args...)
	cmd.Args[0] = "redis-server"
	return cmd
}
