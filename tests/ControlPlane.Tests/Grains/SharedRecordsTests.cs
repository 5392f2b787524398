using System.Collections.Immutable;
using System.Reflection;
using System.Runtime.CompilerServices;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Stages;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Serialization;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

/// <summary>Grains hand records on as they are: nobody may be able to change one afterwards.</summary>
public sealed class SharedRecordsTests
{
    [Fact]
    public void A_record_is_handed_on_as_it_is()
    {
        using var services = new ServiceCollection().AddDecisionRecords().BuildServiceProvider();
        var copier = services.GetRequiredService<DeepCopier>();
        var stage = new StageId("run", "pretrain");
        object boxed = stage;
        Assert.Same(boxed, copier.Copy(boxed));
        ImmutableArray<RankView> ranks = [Any<RankView>(), Any<RankView>()];
        Assert.Same(ranks[1], copier.Copy(ranks)[1]);
    }

    [Fact]
    public void What_grains_say_to_each_other_cannot_be_changed()
    {
        var spoken = typeof(IStageGrain).Assembly.GetTypes().Where(t => t.IsInterface && typeof(IGrain).IsAssignableFrom(t))
            .SelectMany(t => t.GetMethods()).SelectMany(m => m.GetParameters().Select(p => p.ParameterType).Append(m.ReturnType));
        var seen = new HashSet<Type>();
        var left = new Queue<Type>(spoken);
        var faults = new List<string>();
        while (left.TryDequeue(out var type))
        {
            foreach (var part in type.IsGenericType ? type.GetGenericArguments() : [])
            {
                left.Enqueue(part);
            }
            if (type.Assembly != typeof(Stage).Assembly || !seen.Add(type))
            {
                continue;
            }
            foreach (var child in type.Assembly.GetTypes().Where(t => t.BaseType == type))
            {
                left.Enqueue(child);
            }
            foreach (var property in type.GetProperties(BindingFlags.Instance | BindingFlags.Public))
            {
                left.Enqueue(property.PropertyType);
                if (property.SetMethod is { IsPublic: true } set
                    && !set.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)))
                {
                    faults.Add($"{type.Name}.{property.Name} can be set");
                }
                if (IsChangeable(property.PropertyType))
                {
                    faults.Add($"{type.Name}.{property.Name} is a {property.PropertyType.Name}");
                }
            }
        }
        Assert.InRange(seen.Count, 50, int.MaxValue);
        Assert.Empty(faults);
    }

    private static bool IsChangeable(Type type) => type.IsArray || (type.Namespace == "System.Collections.Generic"
        && !type.Name.StartsWith("IReadOnly", StringComparison.Ordinal) && !type.Name.StartsWith("IEnumerable", StringComparison.Ordinal)
        && !type.Name.StartsWith("KeyValuePair", StringComparison.Ordinal));

    private static T Any<T>() => (T)RuntimeHelpers.GetUninitializedObject(typeof(T));
}
