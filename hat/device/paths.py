"""Where things stand on a device, relative to the home folder that SSH starts commands in."""

import shlex

ROOT = ".hat"


def device_folder(device: str) -> str:
    """Folder of a device's environment and of what it has received."""
    return f"{ROOT}/{device}"


def agent_command(device: str) -> str:
    """Command for the device's shell that starts the agent, isolated from the user's own Python packages."""
    return f"exec {shlex.quote(device_folder(device) + '/venv/bin/python')} -I -m hat.device.agent"


def received_file(device: str, name: str) -> str:
    """A file that is being sent, quoted for the device's shell."""
    return shlex.quote(f"{device_folder(device)}/received/files/{name}")
