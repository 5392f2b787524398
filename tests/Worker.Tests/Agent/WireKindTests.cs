using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

/// <summary>A kind that was added to the wire and has no place is named by the test that fails.</summary>
public sealed class WireKindTests
{
    public static TheoryData<string> Orders => Kinds(Order.Descriptor);

    public static TheoryData<string> RankOrders => Kinds(RankOrder.Descriptor);

    public static TheoryData<string> Reports => Kinds(RankReport.Descriptor);

    [Theory]
    [MemberData(nameof(Orders))]
    public void Each_order_to_an_agent_has_its_place(string kind) => Assert.Equal(kind, Of<Order>(kind).Match(
        none: () => "none", goOn: _ => "continue", start: _ => "start", save: _ => "save_checkpoint", rollBack: _ => "roll_back",
        restart: _ => "restart_ranks", form: _ => "form", stop: _ => "stop"));

    [Theory]
    [MemberData(nameof(RankOrders))]
    public void Each_order_to_a_rank_has_its_place(string kind) => Assert.Equal(kind, Of<RankOrder>(kind).Match(
        none: () => "none", launch: _ => "launch", save: _ => "save", stop: _ => "stop", regroup: _ => "regroup",
        fault: _ => "fault", pins: _ => "pins", trace: _ => "trace", prepare: _ => "prepare"));

    [Theory]
    [MemberData(nameof(Reports))]
    public void Each_report_of_a_rank_has_its_place(string kind) => Assert.Equal(kind, Of<RankReport>(kind).Match(
        none: () => "none", hello: _ => "hello", ready: _ => "ready", progress: _ => "progress", pulse: _ => "pulse", done: _ => "done",
        failed: _ => "failed", leftGang: _ => "left_gang", prepared: _ => "prepared", sample: _ => "sample", checkpoint: _ => "checkpoint",
        evaluation: _ => "evaluation", expertLoad: _ => "expert_load", resumed: _ => "resumed", refused: _ => "refused", note: _ => "note",
        trace: _ => "trace", stored: _ => "stored", part: _ => "part",
        reference: _ => "reference", collectives: _ => "collectives", bench: _ => "bench", forming: _ => "forming"));

    [Fact]
    public void What_only_a_newer_program_says_arrives_as_none()
    {
        Assert.Equal("none", ((Order?)null).Match(
            () => "none", _ => "", _ => "", _ => "", _ => "", _ => "", _ => "", _ => ""));
        Assert.Equal("none", new Order().Match(() => "none", _ => "", _ => "", _ => "", _ => "", _ => "", _ => "", _ => ""));
    }

    [Theory]
    [MemberData(nameof(Actions))]
    public void Each_action_of_an_agent_has_its_place(string kind)
    {
        var action = (AgentAction)System.Runtime.CompilerServices.RuntimeHelpers.GetUninitializedObject(
            typeof(AgentAction).GetNestedType(kind)!);
        Assert.Equal(kind, action.Match(
            spawn: _ => "Spawn", launch: _ => "Launch", tell: _ => "Tell", reseat: _ => "Reseat", askRegroup: _ => "AskRegroup",
            askSave: _ => "AskSave", askStop: _ => "AskStop", kill: _ => "Kill", prepare: _ => "Prepare", end: _ => "End"));
    }

    public static TheoryData<string> Actions => [.. typeof(AgentAction).GetNestedTypes().Select(t => t.Name)];

    private static TheoryData<string> Kinds(MessageDescriptor message) => [.. message.Oneofs[0].Fields.Select(f => f.Name)];

    private static T Of<T>(string kind)
        where T : IMessage, new()
    {
        var message = new T();
        var field = message.Descriptor.Oneofs[0].Fields.Single(f => f.Name == kind);
        field.Accessor.SetValue(message, field.MessageType.Parser.ParseFrom([]));
        return message;
    }
}
