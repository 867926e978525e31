"""python tools/sbom.py > sbom.json: what is installed here, as a CycloneDX 1.5 list of components.

Reads what each package says of itself; licences by the words of tools/licences.py.
"""

import json
from importlib.metadata import distributions

from licences import licence


def components() -> list[dict[str, object]]:
    """Every installed package once, by name."""
    found = {one.metadata["Name"]: one.version for one in distributions()}
    return [
        {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}",
            "licenses": [{"license": {"name": licence(name)}}],
        }
        for name, version in sorted(found.items(), key=lambda pair: pair[0].lower())
        if name != "video2gif"
    ]


def bill() -> dict[str, object]:
    """The bill of materials. It carries no date and no serial number: same packages, same bytes."""
    tool = next((one.version for one in distributions(name="video2gif")), "")
    about = {"type": "application", "name": "video2gif", "version": tool}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": about},
        "components": components(),
    }


if __name__ == "__main__":
    print(json.dumps(bill(), indent=2))
