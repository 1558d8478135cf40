# Sourced. find_engine finds a container engine, and starts one when none is running;
# find_running_engine starts none. Both set docker and compose, the commands to use, and
# return 1 without an engine.

# The client that came with the engine comes first: a newer one elsewhere in PATH
# may not work with the engine, or need a buildx that is not installed.
find_docker() {
	for docker in /usr/bin/docker docker; do
		"$docker" info >/dev/null 2>&1 && return
	done
	return 1
}

find_compose() {
	if "$docker" compose version >/dev/null 2>&1; then
		compose="$docker compose"
	else
		compose=docker-compose
		command -v docker-compose >/dev/null
	fi
}

# An engine that denies this user access is running.
refused() {
	docker info 2>&1 | grep -q 'permission denied'
}

start_engine() {
	start=
	[ "$(id -u)" = 0 ] || start="sudo"
	echo "engine: starting dockerd"
	mkdir -p build
	dockerd=
	if [ -d /run/systemd/system ]; then
		$start systemctl start docker
	else
		$start setsid dockerd >build/dockerd.log 2>&1 </dev/null &
		dockerd=$!
	fi
	# The first start creates storage and a bridge: usually a second.
	tries=60
	until find_docker; do
		tries=$((tries - 1))
		if [ $tries = 0 ] || ! running "$dockerd"; then
			echo "engine: error: dockerd does not start; hint: see build/dockerd.log" >&2
			return 1
		fi
		sleep 1
	done
}

# running PID: whether the process still runs; without a PID systemd runs it.
running() {
	[ -z "$1" ] || [ -d "/proc/$1" ]
}

find_running_engine() {
	find_docker && find_compose || return 1
	"$docker" buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
}

find_engine() {
	[ "${ENGINE:-}" != none ] || return 1
	! find_running_engine || return 0
	if command -v docker >/dev/null && refused; then
		echo "engine: error: $(id -un) may not use the docker engine; hint: run this as root or join the group docker" >&2
		return 1
	fi
	sh test/setup.sh engine || return 1
	find_docker || start_engine || return 1
	find_running_engine && return 0
	echo "engine: error: docker compose is not installed; hint: install docker-compose" >&2
	return 1
}
