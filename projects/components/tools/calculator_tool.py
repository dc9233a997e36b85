"""Calculator as the old tool-style node."""

from __future__ import annotations

from projects.components import built_tool
from projects.components.conversion import plain_text
from projects.components.utilities import calculator
from projects.engine.component import Component, Input, Output
from projects.engine.tools import Tool
from projects.engine.values import Data


class CalculatorTool(Component):
    """The Calculator under its older type and output names."""

    type = "CalculatorTool"
    display_name = "Calculator"
    description = "Evaluates an arithmetic expression."
    category = "tools"
    icon = "calculator"
    aliases = ("CalculatorToolComponent",)
    legacy = True
    declared_inputs = (Input("expression", display_name="Expression", info="For example 4*4*(33/22)+12-20.", tool_mode=True),)
    declared_outputs = (
        Output("api_run_model", "run_model", ("Data", "JSON"), "Data"),
        Output("api_build_tool", "build_tool", ("Tool",), "Tool", tool_mode=False),
    )

    async def run_model(self) -> Data:
        return Data(data=calculator.answer(plain_text(self.inputs.get("expression"))))

    async def build_tool(self) -> list[Tool]:
        async def work(expression: str) -> Data:
            return Data(data=calculator.answer(expression))

        info = "An arithmetic expression, for example 4*4*(33/22)+12-20."
        return [built_tool.of_one_text(self, name="calculator", argument="expression", info=info, work=work)]
