from __future__ import annotations

import pickle

from lbproxy.doctor.directory.errors import DirectoryError


def test_it_goes_to_another_process_whole() -> None:
    found = pickle.loads(pickle.dumps(DirectoryError("it is away", refused=True)))
    assert (str(found), found.refused) == ("it is away", True)
