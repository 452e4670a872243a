"""The hooks by which a regularisation or compression method changes a run; each is the identity by default."""

from pydantic import BaseModel, ConfigDict


class Method(BaseModel):
    """One method of the paper; its fields are its config schema. TensorFlow is imported only inside hooks."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str

    def model_options(self) -> dict:
        """Keyword arguments for the network builder."""
        return {}

    def wrap(self, model):
        """The tf_keras model that is trained, made from the plain network."""
        return model

    def smooth(self, targets, classes: int):
        """The targets that the loss sees, made from probabilities of any shape, each one of `classes` that exclude others.

        One-hot targets (B, K) have K classes, action units (B, A) two each: present and absent.
        """
        return targets

    def penalty(self, model):
        """A scalar tensor added to the training loss, or None."""
        return None

    def before_epoch(self, model, epoch: int, epochs: int) -> bool:
        """Prepare 0-based `epoch`; True if the training graph must be traced again. Idempotent: called again on resume."""
        return False

    def settled_from(self, epochs: int) -> int:
        """The 0-based epoch from which the network has its final form; early stopping does not choose an earlier one."""
        return 0

    def after_step(self, model) -> None:
        """Traced at the end of every training step."""

    def export(self, model):
        """The tf_keras model that is converted, made from the trained one."""
        return model
