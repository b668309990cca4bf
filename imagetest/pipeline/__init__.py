"""The use cases: one public function or class a module, handed its ports."""
