"""Stargate for Conan 2:   conan create packaging/conan"""
import pathlib
import re

from conan import ConanFile
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy


class StargateConan(ConanFile):
    name = "stargate"
    license = "Apache-2.0"
    description = "Apache Pulsar over WebSocket, as a supervision tree of CAF actors"
    topics = ("pulsar", "actors", "caf", "websocket", "supervision")
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False]}
    default_options = {"shared": False}
    package_type = "library"

    @property
    def _root(self):
        return pathlib.Path(self.recipe_folder).parent.parent

    def set_version(self):
        header = self._root / "libstargate" / "include" / "stargate" / "version.hpp"
        self.version = re.search(r'STARGATE_VERSION "([^"]+)"', header.read_text(encoding="utf-8"))[1]

    def export_sources(self):
        for part in ("CMakeLists.txt", "LICENSE", "README.md"):
            copy(self, part, self._root, self.export_sources_folder)
        for folder in ("actors", "box", "cli", "cmake", "libstargate", "packaging", "registry", "supervisor", "testing", "web"):
            copy(self, "*", self._root / folder, pathlib.Path(self.export_sources_folder) / folder)

    def requirements(self):
        self.requires("caf/1.0.2", transitive_headers=True)
        self.requires("libcurl/[>=8 <9]")
        self.requires("libwebsockets/4.3.2")
        self.requires("openssl/[>=3 <4]")
        self.requires("rapidjson/cci.20230929")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        toolchain.variables["STARGATE_TOOLS"] = False
        toolchain.variables["STARGATE_TESTS"] = False
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()

    def package_info(self):
        self.cpp_info.components["supervision"].libs = ["stargate_supervision"]
        self.cpp_info.components["supervision"].requires = ["caf::core"]
        self.cpp_info.components["supervision"].set_property("cmake_target_name", "stargate::supervision")
        self.cpp_info.components["stargate"].libs = ["stargate"]
        self.cpp_info.components["stargate"].requires = ["supervision", "libcurl::libcurl", "libwebsockets::libwebsockets", "openssl::openssl"]
        self.cpp_info.components["stargate"].set_property("cmake_target_name", "stargate::stargate")
