"""What a bare run leaves out: skipped with its reason, counted at the end, and run where it is asked for."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest('pytest_plugins = ["left_out"]')
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.ray
        def test_cluster(): pass

        @pytest.mark.chromium
        def test_page(): pass

        def test_plain(): pass
        """
    )
    return pytester


def test_a_bare_run_says_what_it_leaves_out(suite: pytest.Pytester) -> None:
    result = suite.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["left out, 1 of the marker chromium: *make test-chromium*"])
    result.stdout.fnmatch_lines(["left out, 1 of the marker ray: *make test-ray*"])


def test_a_marker_is_run_where_it_is_asked_for(suite: pytest.Pytester) -> None:
    result = suite.runpytest("-p", "no:cacheprovider", "--also", "ray", "-m", "ray")
    result.assert_outcomes(passed=1, deselected=2)
    result.stdout.no_fnmatch_line("left out*")


def test_only_files_that_write_the_marker_are_imported(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_other="raise AssertionError('imported')")
    result = suite.runpytest("-p", "no:cacheprovider", "--also", "ray", "-m", "ray")
    result.assert_outcomes(passed=1, deselected=2)
    suite.runpytest("-p", "no:cacheprovider").assert_outcomes(errors=1)


def test_a_marker_that_its_own_file_does_not_write_is_refused(suite: pytest.Pytester) -> None:
    suite.makepyfile(marks="import pytest\ncluster = pytest.mark.ray")
    suite.makepyfile(test_hidden="import marks\n@marks.cluster\ndef test_hidden(): pass")
    result = suite.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, skipped=2, errors=1)
    result.stdout.fnmatch_lines(["*write pytest.mark.ray in this file*"])


def test_an_unknown_marker_is_refused(suite: pytest.Pytester) -> None:
    assert suite.runpytest("--also", "gpu").ret == pytest.ExitCode.USAGE_ERROR
