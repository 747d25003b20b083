"""Models on the Hugging Face hub: `hf://owner/name`, two files of ours and nothing else."""

from pathlib import Path

from dualseg.core.errors import InputError

SCHEME = "hf://"
FILES = ("model.safetensors", "model.json")


def is_on_hub(path: str | Path) -> bool:
    """Whether a model's name is an address on the hub."""
    return str(path).startswith(SCHEME)


def fetch_model(address: str) -> Path:
    """The folder of a model's two files, from the hub's own cache where they are there already.

    Args:
        address: `hf://owner/name` or `hf://owner/name@revision`.

    Raises:
        InputError: It is no such address, there is no such repository or it holds no model of
            ours, or the hub cannot be reached and the files are not in the cache.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, _, revision = address.removeprefix(SCHEME).partition("@")
    if name.count("/") != 1 or not all(name.split("/")):
        raise InputError(
            f"{address} is no address on the hub; it is hf://owner/name, or hf://owner/name@revision"
        )
    try:
        folder = Path(
            snapshot_download(name, revision=revision or None, allow_patterns=list(FILES))
        )
    except HFValidationError as error:
        raise InputError(f"{address} is no address on the hub: {error}") from None
    except GatedRepoError:
        raise InputError(
            f"{address}: its owner gives access on request; ask for it on its page, then log in "
            "with `hf auth login`"
        ) from None
    except RevisionNotFoundError:
        raise InputError(f"{address}: there is no revision {revision!r}") from None
    except RepositoryNotFoundError:
        raise InputError(
            f"{address}: there is no such repository, or it is private; a private one needs "
            "`hf auth login`"
        ) from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise InputError(
            f"{address} cannot be fetched ({' '.join(str(error).split())[:200]}); without a "
            "network only models fetched before can be used"
        ) from None
    missing = [file for file in FILES if not (folder / file).is_file()]
    if missing:
        raise InputError(
            f"{address} is no model of dualseg: it has no {' and no '.join(missing)}. Checkpoints "
            "of other libraries are downloaded and brought in with `dualseg import`"
        )
    return folder
