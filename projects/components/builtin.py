"""The components that come with Headwater, in the order of their registration. Loaded by `registry.py` when the first flow is read."""

from projects.components.data_source.api_request import APIRequest
from projects.components.data_source.arxiv import ArXiv
from projects.components.data_source.duckduckgo import DuckDuckGoSearch
from projects.components.data_source.load_csv import LoadCSV
from projects.components.data_source.load_json import LoadJSON
from projects.components.data_source.mock_data import MockData
from projects.components.data_source.news_search import NewsSearch
from projects.components.data_source.rss_reader import RSSReader
from projects.components.data_source.sql_database import SqlDatabase
from projects.components.data_source.url import LegacyURL, URLComponent
from projects.components.data_source.web_search import UnifiedWebSearch
from projects.components.data_source.web_search_no_api import WebSearchNoAPI
from projects.components.data_source.wikipedia import Wikipedia, WikipediaTool
from projects.components.files_and_knowledge.directory import Directory
from projects.components.files_and_knowledge.file_content_retriever import FileContentRetriever
from projects.components.files_and_knowledge.file_system import FileSystem
from projects.components.files_and_knowledge.knowledge import Knowledge, KnowledgeBase, KnowledgeIngestion
from projects.components.files_and_knowledge.memory_base import MemoryBase
from projects.components.files_and_knowledge.read_file import ReadFile
from projects.components.files_and_knowledge.save_to_file import SaveToFile
from projects.components.flow_controls.data_condition import DataCondition
from projects.components.flow_controls.flow_tool import FlowTool
from projects.components.flow_controls.human_input import HumanInput
from projects.components.flow_controls.if_else import IfElse
from projects.components.flow_controls.listen import Listen
from projects.components.flow_controls.loop import Loop
from projects.components.flow_controls.merge_flows import MergeFlows
from projects.components.flow_controls.notify import Notify
from projects.components.flow_controls.pass_message import PassMessage
from projects.components.flow_controls.run_flow import RunFlow
from projects.components.flow_controls.sub_flow import SubFlow
from projects.components.input_output.chat_input import ChatInput
from projects.components.input_output.chat_output import ChatOutput
from projects.components.input_output.text_input import TextInput
from projects.components.input_output.text_output import TextOutput
from projects.components.input_output.webhook import Webhook
from projects.components.llm_operations.batch_run import BatchRun
from projects.components.llm_operations.guardrails import GuardrailValidator, GuardrailValidatorV2
from projects.components.llm_operations.llm_selector import LLMSelector
from projects.components.llm_operations.smart_router import SmartRouter
from projects.components.llm_operations.structured_output import StructuredOutput
from projects.components.models_and_agents.agent import Agent
from projects.components.models_and_agents.embedding_model import OLDER_EMBEDDINGS, EmbeddingModelNode
from projects.components.models_and_agents.language_model import LanguageModel
from projects.components.models_and_agents.mcp_tools import MCPTools
from projects.components.models_and_agents.mcp_toolset import MCPToolset
from projects.components.models_and_agents.memory import MessageHistory
from projects.components.models_and_agents.older_agents import ToolCallingAgent
from projects.components.models_and_agents.older_models import OLDER_MODELS
from projects.components.models_and_agents.prompt_template import PromptTemplate
from projects.components.models_and_agents.store_message import StoreMessage
from projects.components.models_and_agents.text_embedder import EmbeddingSimilarity, TextEmbedder
from projects.components.processing.alter_metadata import AlterMetadata
from projects.components.processing.combine_text import CombineText
from projects.components.processing.create_data import CreateData
from projects.components.processing.create_list import CreateList
from projects.components.processing.data_operations import DataOperations
from projects.components.processing.data_to_table import DataToTable
from projects.components.processing.dynamic_create_data import DynamicCreateData
from projects.components.processing.extract_key import ExtractKey
from projects.components.processing.filter_data import FilterData
from projects.components.processing.filter_values import FilterValues
from projects.components.processing.json_cleaner import JSONCleaner
from projects.components.processing.keyword_search import KeywordSearch
from projects.components.processing.merge_data import MergeData
from projects.components.processing.message_to_data import MessageToData
from projects.components.processing.operations import Operations
from projects.components.processing.parse_data import ParseData
from projects.components.processing.parse_json import ParseJSON
from projects.components.processing.parse_table import ParseTable
from projects.components.processing.parser import Parser
from projects.components.processing.regex_extractor import RegexExtractor
from projects.components.processing.select_data import SelectData
from projects.components.processing.split_text import SplitText
from projects.components.processing.table_operations import TableOperations
from projects.components.processing.text_operations import TextOperations
from projects.components.processing.text_splitters import CharacterTextSplitter, RecursiveCharacterTextSplitter
from projects.components.processing.type_convert import TypeConvert
from projects.components.processing.update_data import UpdateData
from projects.components.tools.calculator_tool import CalculatorTool
from projects.components.utilities.calculator import Calculator
from projects.components.utilities.current_date import CurrentDate
from projects.components.utilities.id_generator import IDGenerator
from projects.engine.component import Component

BUILTIN: tuple[type[Component], ...] = (
    ChatInput,
    ChatOutput,
    TextInput,
    TextOutput,
    Webhook,
    PromptTemplate,
    LanguageModel,
    *OLDER_MODELS,
    EmbeddingModelNode,
    *OLDER_EMBEDDINGS,
    TextEmbedder,
    EmbeddingSimilarity,
    Agent,
    ToolCallingAgent,
    MessageHistory,
    StoreMessage,
    MCPTools,
    MCPToolset,
    BatchRun,
    GuardrailValidatorV2,
    GuardrailValidator,
    LLMSelector,
    SmartRouter,
    StructuredOutput,
    DataCondition,
    HumanInput,
    IfElse,
    PassMessage,
    Loop,
    Notify,
    Listen,
    MergeFlows,
    RunFlow,
    SubFlow,
    FlowTool,
    AlterMetadata,
    CombineText,
    CreateData,
    CreateList,
    DataOperations,
    DataToTable,
    DynamicCreateData,
    ExtractKey,
    FilterData,
    FilterValues,
    JSONCleaner,
    KeywordSearch,
    MergeData,
    MessageToData,
    Operations,
    ParseData,
    ParseJSON,
    ParseTable,
    Parser,
    RegexExtractor,
    SelectData,
    SplitText,
    CharacterTextSplitter,
    RecursiveCharacterTextSplitter,
    TableOperations,
    TextOperations,
    TypeConvert,
    UpdateData,
    APIRequest,
    URLComponent,
    LegacyURL,
    UnifiedWebSearch,
    WebSearchNoAPI,
    DuckDuckGoSearch,
    NewsSearch,
    RSSReader,
    ArXiv,
    Wikipedia,
    WikipediaTool,
    MockData,
    LoadCSV,
    LoadJSON,
    SqlDatabase,
    ReadFile,
    SaveToFile,
    Directory,
    FileContentRetriever,
    FileSystem,
    Knowledge,
    KnowledgeIngestion,
    KnowledgeBase,
    MemoryBase,
    Calculator,
    CurrentDate,
    IDGenerator,
    CalculatorTool,
)
