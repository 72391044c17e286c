"""The command line `fovea`; each subcommand is imported when it is called."""

import argparse
import difflib
import importlib
import os
import sys

# command -> (module of fovea with add_arguments(parser) and run(args), a line of help)
COMMANDS = {
    "demo": ("demo", "train, export, serve and query LeNet-5 on MNIST"),
    "train": ("training.commands.train", "train a model into a run directory"),
    "finetune": ("training.commands.finetune", "train a run's model on other images"),
    "recipes": ("training.commands.recipes", "list the recipes in the package"),
    "evaluate": ("training.commands.evaluate", "evaluate a run on its test split"),
    "inspect": ("training.commands.inspect", "show what a run's network has learned"),
    "export": ("training.commands.export", "write a run as a servable version"),
    "serve": ("serving.server.main", "serve models by TensorFlow Serving's protocol"),
    "predict": ("serving.client.commands.predict", "classify images by a served model"),
    "status": ("serving.client.commands.status", "print the states of a model"),
    "metadata": ("serving.client.commands.metadata", "print a model's signatures"),
    "wait": ("serving.client.commands.wait", "wait until a server or a model serves"),
    "load": ("serving.client.commands.load", "measure a server under load"),
    "web": ("serving.web.command", "classify drawings and images on a web page"),
    "models": ("models.commands.catalogue", "list the architectures"),
    "describe": ("models.commands.describe", "show an architecture layer by layer"),
    "augment": ("training.commands.augment", "draw what an augmentation policy does"),
}
# These parse their own command line: argparse does not know the syntax of TensorFlow
# Serving's flags.
OWN_SYNTAX = {"serve"}
# Missing package -> the extra that installs it.
EXTRAS = {
    "tensorflow": "train",
    "keras": "train",
    "matplotlib": "plot",
    "sklearn": "train",
    "jinja2": "train",
    "tomli": "train",
    "tensorflow_serving": "serve",
    "grpc_health": "serve",
    "grpc_reflection": "serve",
    "starlette": "web",
    "mlxtend": "sample",
    "tensorboard": "tensorboard",
}


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand.

    Args:
        argv: The command line without the program's name; None for `sys.argv[1:]`.

    Returns:
        The exit code: 0 success, 1 failure, 2 wrong usage, 130 interrupted.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in argv
    argv = [word for word in argv if word != "--debug"]
    if not argv or argv[0] in ("-h", "--help"):
        print(_help())
        return 0
    if argv[0] in ("-V", "--version"):
        from importlib import metadata

        print(f"fovea {metadata.version('fovea')}")
        return 0
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
        return _fail(
            f"unknown command{f' (did you mean {close[0]}?)' if close else ''}; the "
            f"commands are {', '.join(COMMANDS)}. Received: {name}",
            exit_code=2,
        )
    try:
        module = importlib.import_module(f"fovea.{COMMANDS[name][0]}")
        if name in OWN_SYNTAX:
            return module.run(rest)
        parser = argparse.ArgumentParser(
            prog=f"fovea {name}", description=f"{_sentence(COMMANDS[name][1])}."
        )
        module.add_arguments(parser)
        args = parser.parse_args(rest)
        args.debug = debug
        exit_code = module.run(args)
        sys.stdout.flush()  # here, where a closed pipe is handled
        return exit_code
    except KeyboardInterrupt:
        return _fail("interrupted", exit_code=130)
    except BrokenPipeError:
        # The reader of our output has closed it, as `head` does. What is left in the
        # buffer must not fail again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if debug:
            import traceback

            traceback.print_exc()
        return _fail(_describe(error))


def _describe(error: Exception) -> str:
    """Return one sentence: the rule and what was received, or what to install."""
    text = " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError):
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra:
            return (
                f"this command needs the package {error.name}, which is not "
                f"installed; pip install 'fovea[{extra}]'"
            )
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename} cannot be used: {error.strerror}"
    if isinstance(error, (ValueError, OSError)) and text:
        return text
    if _raised_by_client(error):
        return text
    return f"unexpected {type(error).__name__}: {text}; --debug shows the traceback"


def _raised_by_client(error: Exception) -> bool:
    # The client raised it only if its module is loaded: nothing is imported to check.
    errors = sys.modules.get("fovea.serving.client.errors")
    return errors is not None and isinstance(error, errors.ClientError)


def _fail(message: str, exit_code: int = 1) -> int:
    print(f"fovea: error: {message}", file=sys.stderr)
    return exit_code


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [
        "usage: fovea COMMAND ...",
        "",
        "Train small image classifiers with Keras, export them, and serve them",
        "through TensorFlow Serving's protocol.",
        "",
    ]
    lines += [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    lines += [
        "",
        "fovea COMMAND --help lists the arguments of a command; --debug anywhere",
        "prints the traceback of an error; --version prints the version.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
