# Sourced. find_engine finds a container engine that answers, and starts one when none does;
# find_running_engine only looks. Both set docker and compose, the commands to use, and
# return 1 when there is no engine.

# The client that came with the engine comes first: a newer one elsewhere in PATH
# may refuse the engine, or build with a buildx that is not there.
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

# A refusal to this user is not an engine that is down.
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
	# Its first start makes a storage folder and a bridge: a second as a rule.
	tries=60
	until find_docker; do
		tries=$((tries - 1))
		if [ $tries = 0 ] || ! running "$dockerd"; then
			echo "engine: dockerd does not answer; hint: see build/dockerd.log" >&2
			return 1
		fi
		sleep 1
	done
}

# running PID: a started process that is still there, or one that systemd looks after.
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
		echo "engine: the docker engine refuses $(id -un); hint: run as root or join the group docker" >&2
		return 1
	fi
	sh test/setup.sh engine || return 1
	find_docker || start_engine || return 1
	find_running_engine && return 0
	echo "engine: neither docker compose nor docker-compose is there; hint: install docker-compose" >&2
	return 1
}
