"""The ocean that the demo trains on: four days of real sea level, of `oceanarrow sample-data`.

Does nothing when it is there already.
"""

from pathlib import Path

from oceanarrow.sample_data import write_sample_data

DATA = Path(__file__).parent / "data"
DATASET = DATA / "OceanTACO"


def main() -> None:
    if not DATASET.exists():
        print("Downloading real sea level (5 MB)")
        write_sample_data(DATA, scale=1, sources=["l4_ssh"])
    print((DATA / "README.md").read_text())


if __name__ == "__main__":
    main()
