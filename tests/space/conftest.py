from tests.worker_files.conftest import area_of, file_systems, folder, root

__all__ = ["area_of", "file_systems", "folder", "root"]
