"""Paths on a device, relative to the home folder, where SSH starts commands."""

import shlex

ROOT = ".hat"


def device_folder(device: str) -> str:
    """Return the folder of a device's environment and received files."""
    return f"{ROOT}/{device}"


def agent_command(device: str) -> str:
    """Return the shell command that starts the agent, isolated from the user's own Python packages."""
    return f"exec {shlex.quote(device_folder(device) + '/venv/bin/python')} -I -m hat.device.agent"


def received_file(device: str, name: str) -> str:
    """Return the path of a file that is being sent, quoted for the device's shell."""
    return shlex.quote(f"{device_folder(device)}/received/files/{name}")
