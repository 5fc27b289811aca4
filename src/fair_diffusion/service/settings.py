"""The settings of a server: options, then the environment, then a file, then what is usual."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from fair_diffusion.files.signature import named
from fair_diffusion.policy.attributes import suggestion
from fair_diffusion.service.database_name import shown_url
from fair_diffusion.service.upstream_url import checked_url

FILE = "service.yaml"
"""The file of settings in the data folder."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class _File(YamlConfigSettingsSource):
    """The file of settings. `ValueError` if it holds anything but settings with their values."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        found: Any = super()._read_file(file_path)
        if not isinstance(found, dict):
            raise ValueError(f"{FILE} in the data folder holds no settings; write lines such as most_waiting: 1000")
        return found


class Settings(BaseSettings):
    """What a server can be told. The environment has them as FAIR_DIFFUSION_PORT and so on."""

    model_config = SettingsConfigDict(env_prefix="FAIR_DIFFUSION_", extra="forbid", hide_input_in_errors=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    prefix: str = Field(
        default="", pattern="^(/[A-Za-z0-9._~-]+)*$", description="the path below which a proxy serves this server"
    )
    data: Path = Path("fair-diffusion-data")
    database: str | None = Field(default=None, description="URL; a file in the data folder if none is given")
    images: str | None = Field(default=None, description="folder or URL of fsspec; one in the data folder if not given")
    policy: Path | None = Field(default=None, description="the policy file that is active from the start on")
    ledger: Path | None = Field(default=None, description="the file of a ledger that is taken over, once")
    workers: int = Field(default=1, ge=0, le=64, description="processes that draw, on this machine")
    batch: int = Field(default=8, ge=1, le=1024, description="images in one batch at most")
    linger: float = Field(default=20.0, ge=0, le=10_000, description="milliseconds that a batch waits for more jobs")
    grace: float = Field(default=20.0, ge=0, le=3600, description="seconds to finish in at the end")
    keep_prompts: bool = False
    upstream: str | None = Field(default=None, description="the address of another server, which draws instead")
    upstream_model: str | None = Field(default=None, max_length=300, description="the name of the model there")
    upstream_timeout: float = Field(default=120.0, gt=0, le=3600, description="seconds for one image of that server")
    retention: float = Field(default=1.0, gt=0, le=3650, description="days for which jobs and images are kept")
    c2pa: Annotated[tuple[Path, Path] | None, NoDecode] = Field(
        default=None, description="certificate and key (PEM) that sign images; in the environment with a space between"
    )
    most_waiting: int = Field(default=1000, ge=1, description="jobs that wait at once")
    most_steps: int = Field(default=150, ge=1, le=1000, description="denoising steps of a request at most")
    most_pixels: int = Field(default=4_194_304, ge=256, description="pixels of an image at most")
    most_upload: int = Field(default=33_554_432, ge=65_536, description="bytes of a request with pictures at most")

    @field_validator("c2pa", mode="before")
    @classmethod
    def _two_files(cls, given: Any) -> Any:
        return None if given is None else named(given)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options first, then the environment, then the file."""
        given: Any = init_settings
        data = Path(given.init_kwargs.get("data") or env_settings().get("data") or Path("fair-diffusion-data"))
        return init_settings, env_settings, _File(settings_cls, yaml_file=data / FILE)

    @classmethod
    def read(cls, **options: Any) -> Settings:
        """The settings with these options, where they are not None. `ValueError` naming the first wrong one."""
        try:
            return cls(**{name: value for name, value in options.items() if value is not None})
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = ".".join(map(str, first["loc"])) or "settings"
            unknown = first["type"] == "extra_forbidden"
            why = f"there is none; {suggestion(name, tuple(cls.model_fields))}" if unknown else first["msg"]
            raise ValueError(f"the setting {name} cannot be used: {why}") from None
        except yaml.YAMLError as error:
            raise ValueError(f"{FILE} in the data folder is no YAML ({str(error).splitlines()[0]}); mend it") from None

    @field_validator("upstream")
    @classmethod
    def _checked(cls, url: str | None) -> str | None:
        """The address without a slash at its end."""
        return None if url is None else checked_url(url)

    @property
    def database_url(self) -> str:
        """Where the database is."""
        return self.database or str(self.data / "service.sqlite")

    @property
    def images_place(self) -> str:
        """Where pictures are."""
        return self.images or str(self.data / "images")

    @property
    def kept(self) -> float:
        """Seconds for which jobs and images are kept."""
        return self.retention * 24 * 3600.0

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOOPBACK

    def shown(self) -> dict[str, Any]:
        """The settings that hold, without secrets."""
        found = self.model_dump(mode="json")
        return {**found, "database": shown_url(self.database_url), "images": shown_url(self.images_place)}
