"""Servers in containers, by testcontainers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.processes import HOST
from support.servers import Server, ServerUnavailable
from support.waiting import wait_until

_PORT = 6379
"""Where it listens inside."""


@contextlib.contextmanager
def container_of(image: str) -> Iterator[str]:
    """The URL of a container that is started as users of testcontainers do it.

    Raises:
        ServerUnavailable: There is no engine, or no such image.
    """
    container = _made(image)
    with _explained(image):
        container.start()
    try:
        yield container.get_connection_url()
    finally:
        container.stop()


class ContainerServer(Server):
    """A server in a container, to restart, kill and pause like any other.

    Its data lie in `directory` on this machine, and it keeps its port here, so that both are there after a restart.
    """

    def __init__(self, image: str, **config: str) -> None:
        super().__init__(**config)
        self._image = image
        self._container: Any = None

    def restart(self) -> None:
        """Stop cleanly, if it still runs, and come back on the same port with the same data."""
        self._inner.stop(timeout=5)
        self._inner.start()
        wait_until(self._answers, f"the container of {self._image} to answer PING")

    def _kill(self) -> None:
        self._inner.kill()
        self._inner.wait()

    def pause(self) -> None:
        """Stall the server: connections stay open and nothing is answered."""
        self._inner.pause()

    def resume(self) -> None:
        self._inner.unpause()

    def stop(self) -> None:
        """Remove the container and forget its data."""
        if self._container is not None:
            self._container.stop()
            self._container = None
        super().stop()

    @property
    def _inner(self) -> Any:
        if self._container is None:
            raise ServerUnavailable(f"no container of {self._image} is running")
        return self._container.get_wrapped_container()

    def _launch(self) -> None:
        self._container = (
            _made(self._image)
            .with_volume_mapping(self.directory, str(self.directory), "rw")
            .with_command([str(self._written())])
            # As the user who removes its files afterwards; the official image's entry point would change users.
            .with_kwargs(entrypoint=["valkey-server"], user=f"{os.getuid()}:{os.getgid()}")
        )
        # `with_bind_ports` takes no address, and would publish it on all of this machine.
        self._container.ports[str(_PORT)] = (HOST, self.port)
        with _explained(self._image):
            self._container.start()
        wait_until(self._answers, f"the container of {self._image} to answer PING")

    def _written(self) -> Path:
        config = self.directory / "server.conf"
        # Inside, every client is a remote one.
        inside = {"bind": "*", "port": str(_PORT), "protected-mode": "no", "enable-debug-command": "yes"}
        directives = {**self._directives(), **inside}
        config.write_text("".join(f"{name} {value}\n" for name, value in directives.items()))
        return config

    def _is_ours(self, process_id: int) -> bool:
        # It is the first process inside; and that nobody else has the port here, the engine has made sure of.
        return process_id == 1


def _made(image: str) -> Any:
    try:
        from testcontainers.community.valkey import ValkeyContainer
    except ImportError as exc:
        raise ServerUnavailable("containers need testcontainers 4.15 or newer") from exc
    with _explained(image):
        return ValkeyContainer(image)


@contextlib.contextmanager
def _explained(image: str) -> Iterator[None]:
    try:
        yield
    except Exception as exc:  # the engine, the image and the network each fail with errors of their own
        raise ServerUnavailable(f"no container of {image}: {exc}") from exc
