import ast
import inspect
import itertools

import pytest

from agent.core import rack as module
from agent.core.placement import Placement
from agent.core.rack import rack, update_group, zone


@pytest.mark.parametrize(
    ("placement", "path", "group", "true_zone"),
    [
        (Placement(location="we", zone="1", fault_domain=0, update_domain=3), "we-1-fd0", "we-1-ud3", "we-1"),
        (Placement(location="we", fault_domain=2, update_domain=0), "we-fd2", "we-ud0", ""),
        (Placement(location="we", zone="1"), "we-1", "", "we-1"),
        (Placement(location="we"), "we", "", ""),
        (Placement(zone="1", fault_domain=0, update_domain=0), "", "", ""),
    ],
)
def test_racks_and_update_groups_are_made_of_what_is_known(placement, path, group, true_zone):
    assert (rack(placement), update_group(placement), zone(placement)) == (path, group, true_zone)


def test_fault_domain_zero_is_another_rack_in_each_zone():
    spread = [Placement(location="we", zone=z, fault_domain=f) for z, f in itertools.product("123", range(3))]
    assert len({rack(placement) for placement in spread}) == 9


def test_the_module_is_written_in_the_syntax_of_python_3_8():
    assert ast.parse(inspect.getsource(module), feature_version=(3, 8)).body
