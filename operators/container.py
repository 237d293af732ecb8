"""Any command in a container, for any DAG."""

from __future__ import annotations

import json
import shlex
import ssl
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from corpus.errors import BadInputError, CorpusError
from operators.containers.client import Client
from operators.containers.engine import Engine
from operators.containers.environment import SECRETS_ARE_FILES, without_secrets
from operators.containers.scratch import RESULT, Scratch, user_of
from operators.containers.spec import Bind, Limits, Spec
from operators.containers.task_containers import Ended, TaskContainers
from operators.runners.identity import task_try
from operators.runners.result import MAX_BYTES, as_airflow, how_it_ended, read_bounded
from operators.task_log import one_line

if TYPE_CHECKING:
    from operators.settings import DockerSettings

_RESULTS = "/results"
_SECRETS = "/run/secrets"
_STEP = "run"
_OUTPUT = "Output is for people; with `result_schema` a result is read from a file."
_HARDENED = "A container has no more rights than it needs."
_LABELLED = "Labels are set by the operator: a container is found by them."
# Arguments of DockerOperator that this one does not take, and why.
REFUSED = {
    **dict.fromkeys(("private_environment", "env_file"), SECRETS_ARE_FILES),
    **dict.fromkeys(("retrieve_output", "retrieve_output_path", "xcom_all"), _OUTPUT),
    **dict.fromkeys(
        ("privileged", "cap_add", "device_requests", "ipc_mode", "extra_hosts", "dns", "dns_search",
         "port_bindings", "hostname", "tty"),
        _HARDENED,
    ),
    **dict.fromkeys(("container_name", "labels", "auto_remove"), _LABELLED),
    **dict.fromkeys(("mounts", "mount_tmp_dir", "tmp_dir", "host_tmp_dir"), "Use `binds`."),
    "mem_limit": "Use `memory_bytes`.",
    "shm_size": "It is part of `memory_bytes`.",
    "ulimits": "Use `pids` and `memory_bytes`.",
    "network_mode": "Use `network`.",
    "force_pull": "Use `pull`, and an image's digest for a certain version.",
    **dict.fromkeys(("log_opts_max_size", "log_opts_max_file"), "Logs are always bounded."),
    "api_version": "The engine's own is used.",
    **dict.fromkeys(("tls_hostname", "tls_ssl_version"), "Name the host as its certificate does."),
}  # fmt: skip


class ContainerOperator(DockerOperator):
    """Runs a command in a container that may do nothing it was not given here.

    There is one container for a task, always: if a worker was killed, the next try on the same host
    continues with the container that runs, or takes the result of the one that has ended. A task that
    was cleared begins again. When the task ends, in whichever way, its container is removed.

    What is not given comes from the `docker` section of the worker's settings. Each line of output
    is shown as it comes, up to `docker.log_lines`.

    :param image: the image's name. (templated)
    :param command: the command; text is split as a shell does. (templated)
    :param entrypoint: instead of the image's own.
    :param environment: variables that are not secrets: they are shown in the UI. (templated)
    :param binds: folders of the host, read-only as `/source:/target`, writable as `/source:/target:rw`.
    :param secrets: folder of the host that is mounted read-only at /run/secrets.
    :param network: a network of the engine; by default there is none.
    :param user: `uid:gid`, by default as in the settings; not root.
    :param working_dir: the working directory; only /tmp and what is bound as `rw` can be written to.
    :param result_schema: JSON schema of the result. The command leaves it as JSON, at most 256 KiB,
        in the file that the variable CORPUS_RESULT names, and the task returns it.
    :param skip_on_exit_code: exit statuses with which the task counts as skipped.
    :param pull: whether to pull an image that the engine does not have.
    :param docker_conn_id: connection with the registry's user, for pulling. (templated)
    :param docker_url: address of the engine, or several to try.
    """

    template_fields: Sequence[str] = ("image", "command", "environment", "docker_conn_id")
    # A command that ends with ".sh" is not a file to read a template from.
    template_ext: Sequence[str] = ()
    template_fields_renderers = {"environment": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        image: str,
        command: str | list[str] | None = None,
        entrypoint: str | list[str] | None = None,
        environment: dict[str, str] | None = None,
        binds: Sequence[str] = (),
        secrets: str | None = None,
        network: str = "none",
        user: str | None = None,
        working_dir: str = "/tmp",  # noqa: S108
        memory_bytes: int | None = None,
        cpus: float | None = None,
        cpuset: str | None = None,
        pids: int | None = None,
        tmpfs_bytes: int | None = None,
        result_schema: Mapping[str, Any] | None = None,
        skip_on_exit_code: int | Collection[int] | None = None,
        pull: bool | None = None,
        docker_conn_id: str | None = None,
        docker_url: str | list[str] | None = None,
        tls_ca_cert: str | None = None,
        tls_client_cert: str | None = None,
        tls_client_key: str | None = None,
        tls_verify: bool = True,
        timeout: int = 60,
        **kwargs: Any,
    ) -> None:
        for name in kwargs:
            if name in REFUSED:
                # Without the value, which may be a secret.
                raise BadInputError(
                    "a ContainerOperator does not take it.", field=name, hint=REFUSED[name]
                )
        super().__init__(
            image=image,
            api_version="auto",
            docker_url=docker_url,
            docker_conn_id=docker_conn_id,
            tls_ca_cert=tls_ca_cert,
            tls_client_cert=tls_client_cert,
            tls_client_key=tls_client_key,
            tls_verify=tls_verify,
            timeout=timeout,
            working_dir=working_dir,
            user=user,
            skip_on_exit_code=skip_on_exit_code,
            mount_tmp_dir=False,
            **kwargs,
        )
        self.command = command
        self.entrypoint = entrypoint
        self.environment = without_secrets(environment or {})
        self.binds = [_bind(text) for text in binds]
        self.secrets = secrets
        self.network = network
        limits: dict[str, Any] = {
            "memory_bytes": memory_bytes,
            "cpus": cpus,
            "cpuset": cpuset,
            "pids": pids,
            "tmpfs_bytes": tmpfs_bytes,
        }
        self.limits = {name: value for name, value in limits.items() if value is not None}
        self.result_schema = result_schema
        self.pull = pull
        # DockerOperator would have its own default here.
        self.docker_url = docker_url or []
        self._stopped = False
        self._containers: TaskContainers | None = None

    def execute(self, context: Context) -> Any:
        # Not at the top: what parses a DAG needs none of it.
        from operators.settings import WorkerSettings

        try:
            docker = WorkerSettings.load().docker
            scratch = Scratch(
                Path(docker.scratch),
                task_try(context, docker.host),
                user_of(str(self.user or docker.user)),
            )
            pull = docker.pull if self.pull is None else self.pull
            self.docker_url = self.docker_url or docker.url
            engine = Engine(self._client(), wait_s=docker.engine_wait_s, say=self.log.info)
            containers = TaskContainers(
                engine,
                scratch,
                say=self.log.info,
                max_lines=docker.log_lines,
                pull=self._pull if pull else None,
                images=[self.image],
            )
            self._containers = containers
            containers.stopped = self._stopped
            with containers:
                ended = containers.run(_STEP, self._spec(docker, scratch))
                return self._result(ended, scratch)
        except CorpusError as error:
            raise as_airflow(error) from None

    def on_kill(self) -> None:
        # In a signal handler, which may have interrupted the writing of a line: nothing is logged.
        self._stopped = True
        if self._containers:
            self._containers.stop()

    def _spec(self, docker: DockerSettings, scratch: Scratch) -> Spec:
        environment, binds = {**without_secrets(self.environment)}, list(self.binds)
        if self.result_schema is not None:
            environment["CORPUS_RESULT"] = f"{_RESULTS}/{RESULT}"
            binds.append(Bind(str(scratch.folder(_STEP)), _RESULTS, writable=True))
        if self.secrets:
            binds.append(Bind(self.secrets, _SECRETS))
        return Spec(
            image=self.image,
            command=_words(self.command),
            entrypoint=None if self.entrypoint is None else _words(self.entrypoint),
            user=":".join(map(str, scratch.user)),
            limits=replace(Limits.of(docker), **self.limits),
            binds=binds,
            environment=environment,
            network=self.network,
            working_dir=self.working_dir or "/",
            log_driver=docker.log_driver,
        )

    def _result(self, ended: Ended, scratch: Scratch) -> Any:
        if ended.exit_status in self.skip_on_exit_code:
            raise AirflowSkipException(f"It ended with exit status {ended.exit_status}.")
        if ended.exit_status:
            problem = f"It failed: {how_it_ended(ended.exit_status)}."
            if ended.out_of_memory:
                # Perhaps only a process that it had started, and it failed for another reason.
                problem += "\nIt needed more memory than its container has (`memory_bytes`, /tmp included)."
            raise AirflowException(problem)
        if self.result_schema is None:
            return None
        content = read_bounded(scratch.path / _STEP / RESULT)
        if content is None:
            raise AirflowFailException("It left no file at $CORPUS_RESULT.")
        if len(content) > MAX_BYTES:
            raise AirflowFailException(f"Its result has more than {MAX_BYTES} bytes.")
        return _checked(content, self.result_schema)

    def _pull(self, image: str) -> object:
        # The hook's client logs in at the registry.
        return self.hook.get_conn().pull(image)

    def _client(self) -> Client:
        urls = [self.docker_url] if isinstance(self.docker_url, str) else self.docker_url
        if self.tls_ca_cert is None:
            return Client(*urls, timeout_s=self.timeout)
        tls = ssl.create_default_context(cafile=self.tls_ca_cert)
        if not self.tls_verify:
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
        if self.tls_client_cert:
            tls.load_cert_chain(self.tls_client_cert, self.tls_client_key)
        return Client(*urls, timeout_s=self.timeout, tls=tls)


def _words(command: str | Sequence[str] | None) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else list(map(str, command or ()))


def _bind(text: str) -> Bind:
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if not (source.startswith("/") and target.startswith("/")) or mode not in ("", "ro", "rw"):
        raise BadInputError(
            f"{text!r} is not /source:/target or /source:/target:rw.", field="binds"
        )
    return Bind(source, target, writable=mode == "rw")


def _checked(content: bytes, schema: Mapping[str, Any]) -> Any:
    import jsonschema  # type: ignore[import-untyped]

    try:
        result = json.loads(content)
        jsonschema.validate(result, schema)
    except (ValueError, RecursionError, jsonschema.ValidationError) as error:
        # The first line: the rest repeats the whole document.
        problem = one_line(str(error).partition("\n")[0])
        raise AirflowFailException(f"Its result is not what it should be: {problem}") from None
    except jsonschema.SchemaError as error:
        raise AirflowFailException(
            f"`result_schema` is not a JSON schema: {error.message}"
        ) from None
    return result
